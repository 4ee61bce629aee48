from typer.testing import CliRunner

from workers.cli import app


def test_a_worker_of_plugins_alone_is_refused_for_the_queue_of_the_runs() -> None:
    done = CliRunner().invoke(app, ["worker", "--queue", "stdops"])

    assert done.exit_code == 2
    assert "'stdops' is the queue of the runs themselves" in done.stderr
    assert "leave --queue out" in done.stderr
