"""Compares what a row says with what was asked and how it ended, field by field."""

import json
from collections.abc import Iterator, Sequence
from typing import cast

from tests.helpers.blueking_families.rows import Json, Row, Sent
from tests.helpers.blueking_families.running import Ended
from workers.fake_blueking import APP_CODE, APP_SECRET


def faults_of(row: Row, ended: Ended) -> list[str]:
    """Return in which ways a row has not ended as it says; none is good."""
    return [*_wrong_end(row, ended), *_wrong_requests(row, ended), *_wrong_headers(ended)]


def _wrong_end(row: Row, ended: Ended) -> Iterator[str]:
    kind = "failed" if row.error else "done"
    if ended.kind != kind:
        yield f"ended as {ended.kind or 'nothing'}, not {kind}: {ended.error}"
    for line in row.error.splitlines():
        if line not in ended.error:
            yield f"error {ended.error!r} is without {line!r}"
    is_derived = row.error and row.path in ("refused", "lost")
    if not is_derived and _in_order(ended.outputs, row) != _in_order(row.outputs, row):
        yield f"outputs {ended.outputs}\n    are not {row.outputs}"


def _in_order(outputs: Json, row: Row) -> Json:
    """Return outputs; of what was started at the same time, in one order."""
    if not row.unordered:
        return outputs
    return {
        key: sorted(cast("list[object]", each), key=str) if isinstance(each, list) else each
        for key, each in outputs.items()
    }


def _wrong_requests(row: Row, ended: Ended) -> Iterator[str]:
    """Tell requests that differ; JOB may be looked at besides its callback, and more than once."""
    wanted, found = _without_looks(row.sent, row), _without_looks(ended.sent, row)
    if row.unordered:
        yield from _unmatched(wanted, found)
        return
    for at, (want, have) in enumerate(zip(wanted, found, strict=False), 1):
        if want != have:
            yield f"request {at} is {_shown(have)}\n    and not {_shown(want)}"
    for want in wanted[len(found) :]:
        yield f"never asked: {_shown(want)}"
    for have in found[len(wanted) :]:
        yield f"asked besides: {_shown(have)}"


def _without_looks(sent: Sequence[Sent], row: Row) -> list[Sent]:
    """Return requests without those looks of which a slow machine may take more.

    Where a callback and a look meet at a job's end, both read what it leaves.
    """
    if any(each.is_look for each in row.sent):
        return [each for at, each in enumerate(sent) if not (each.is_look and each in sent[:at])]
    kept = [each for each in sent if not each.is_look]
    if not any("callback_url" in each.params for each in row.sent):
        return kept
    return [each for at, each in enumerate(kept) if each.method != "GET" or each not in kept[:at]]


def _unmatched(wanted: Sequence[Sent], found: Sequence[Sent]) -> Iterator[str]:
    left = list(found)
    for want in wanted:
        if want in left:
            left.remove(want)
        else:
            yield f"never asked: {_shown(want)}"
    yield from (f"asked besides: {_shown(have)}" for have in left)


def _wrong_headers(ended: Ended) -> Iterator[str]:
    """Tell headers that are not as reference section 4.1 has them."""
    for sent, headers in ended.heard:
        if sent.api == "wecom.send":
            continue  # of another maker, and without credentials but those of its address
        known = json.loads(headers["x-bkapi-authorization"])
        if {**known, "bk_username": ""} != {
            "bk_app_code": APP_CODE,
            "bk_app_secret": APP_SECRET,
            "bk_username": "",
        }:
            yield f"{sent.api}: credentials are {known}"
        if headers.get("blueking-language") != "zh-hans":
            yield f"{sent.api}: the language is {headers.get('blueking-language')}"
        if sent.method == "POST" and headers.get("content-type") != "application/json":
            yield f"{sent.api}: the content is {headers.get('content-type')}"


def _shown(sent: Sent) -> str:
    return f"{sent.method} {sent.path} {sent.params}"
