"""The part of a Kubernetes API server that Jobs need, over real HTTP; a test moves its Jobs on."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Json = dict[str, Any]

TOKEN = "a-token"


class FakeKubernetes:
    """A cluster of one namespace; `refuses` is a status that is answered instead, once."""

    def __init__(self) -> None:
        self.jobs: dict[str, Json] = {}
        self.pods: list[Json] = []
        self.logs: dict[str, str] = {}
        self.created: list[Json] = []
        self.deleted: list[str] = []
        self.refuses = 0
        self.url = ""

    def end(self, kind: str, exit_code: int, log: str, **more: str) -> None:
        """End every Job, each by one pod."""
        for name, job in self.jobs.items():
            job["status"] = {"conditions": [{"type": kind, "status": "True", **more}]}
            self.show_pod(f"{name}-abc", {"terminated": {"exitCode": exit_code}})
            self.logs[f"{name}-abc"] = log

    def show_pod(self, name: str, state: Json, at: str = "2026-01-01T00:00:00Z") -> None:
        """Add a pod in some state."""
        held = {"name": "main", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
        status = {"containerStatuses": [{**held, "state": state}]}
        self.pods.append({"metadata": {"name": name, "creationTimestamp": at}, "status": status})

    def kubeconfig(self, file: Path) -> Path:
        """Write a kubeconfig for this cluster."""
        cluster = {"name": "c", "cluster": {"server": self.url}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": TOKEN}}
        known = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "contexts": [context],
            "users": [user],
            "current-context": "x",
        }
        file.write_text(json.dumps(known), "utf-8")
        return file

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused(401, "Unauthorized")
        if self.refuses:
            status, self.refuses = self.refuses, 0
            return _refused(status, "not now")
        kind, name = request.match_info["kind"], request.match_info.get("name", "")
        if kind == "pods":
            return self._pods(name)
        if request.method == "POST":
            return self._create(await request.json())
        return self._read_or_delete(name, request.method)

    def _read_or_delete(self, name: str, method: str) -> web.Response:
        if name not in self.jobs:
            return _refused(404, f'jobs "{name}" not found')
        if method == "DELETE":
            self.deleted.append(name)
            del self.jobs[name]
            return web.json_response({"kind": "Status", "status": "Success"})
        return web.json_response(self.jobs[name])

    def _create(self, job: Json) -> web.Response:
        name = job["metadata"]["name"]
        if name in self.jobs:
            return _refused(409, f'jobs "{name}" already exists')
        self.created.append(job)
        self.jobs[name] = job
        return web.json_response(job, status=201)

    def _pods(self, name: str) -> web.Response:
        if not name:
            return web.json_response({"kind": "PodList", "items": self.pods})
        return web.Response(text=self.logs.get(name, ""))


@asynccontextmanager
async def fake_kubernetes() -> AsyncGenerator[FakeKubernetes, None]:
    """Serve the fake on a free port."""
    fake, app = FakeKubernetes(), web.Application()
    for path in (
        "/apis/batch/v1/namespaces/{namespace}/{kind:jobs}",
        "/apis/batch/v1/namespaces/{namespace}/{kind:jobs}/{name}",
        "/api/v1/namespaces/{namespace}/{kind:pods}",
        "/api/v1/namespaces/{namespace}/{kind:pods}/{name}/log",
    ):
        app.router.add_route("*", path, fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": message, "code": status}, status=status)
