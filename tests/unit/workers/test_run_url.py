from workers.server import run_url


def test_a_link_names_namespace_run_and_tab() -> None:
    url = run_url("http://localhost:8233/", "default", "release-1", "0af3")

    assert url == (
        "http://localhost:8233/namespaces/default/workflows/release-1/0af3/user-metadata"
    )


def test_a_child_s_id_with_a_slash_stays_one_step() -> None:
    url = run_url("http://ui", "ops", "release-1/部署", "0af3", "timeline")

    assert url == (
        "http://ui/namespaces/ops/workflows/release-1%2F%E9%83%A8%E7%BD%B2/0af3/timeline"
    )
