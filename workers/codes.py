"""What the codes mean that are not about a template: runs, plugins, installation, command line.

`CODES` is their one table; together with the translator's own codes it makes docs/diagnostics.md.
Run `python -m workers.codes` after a change here or to a rule.
"""

import sys
from collections.abc import Mapping
from typing import Final

from translator.formats.codes import CodeDoc
from translator.rules.document import PAGE, page

CODES: Final[Mapping[str, CodeDoc]] = {
    "SOP219": CodeDoc(
        "a value is nested too deeply",
        "A value has lists and objects at most 100 deep.",
        "Deeper ones only exhaust the stack; none of real templates comes near.",
        "`set_variables` with a list in a list, 101 times",
        "Flatten it, or pass it as text.",
    ),
    "SOP220": CodeDoc(
        "inputs of a run are wrong",
        "A run is given values for variables that its template asks for, and that match them.",
        "A wrong value would only show in the middle of the run.",
        "`stdops run release --set taget=web-1`, where the variable is called `target`",
        "Correct what the message names; `stdops plan` lists the variables of a template.",
    ),
    "SOP221": CodeDoc(
        "input of the workflow cannot be read",
        "The input of the workflow type `RunFlow` is one JSON object with at least `template`.",
        "Without it there is nothing to run.",
        "`temporal workflow start --type RunFlow --input '\"release\"'`",
        'Start it with `{"template": "release", "inputs": {}}`.',
    ),
    "SOP300": CodeDoc(
        "verb refused",
        "A verb applies to the run and the node as they are now.",
        "A verb that does not apply changes nothing; the message says what stands in its way.",
        "`skip` of a node that is running",
        "Look at `stdops status RUN`, which lists what can be done.",
    ),
    "SOP320": CodeDoc(
        "the run ended because a node failed",
        'With `on_failure: "fail"` a run ends at its first failed node.',
        "The caller that started it is a program that waits for an answer, not a person.",
        'A task that fails in a run with `on_failure: "fail"`',
        "Mend what the node's error names, then start a new run; without `on_failure` the run "
        "waits for a person instead.",
    ),
    "SOP410": CodeDoc(
        "plugins cannot be loaded",
        "Every entry point of the group `stdops.plugins` imports, and each module behind it.",
        "The plugins in it are missing; those of other modules and packages are there.",
        "A plugin module that imports a package which is not installed",
        "Mend the line that the message names, or remove its package; `stdops plugins list` tells "
        "whether it helped.",
    ),
    "SOP411": CodeDoc(
        "plugin is written wrongly",
        "A plugin has the signature that the decorator asks for, and the steps that it uses.",
        "It would fail in a run; here it is found when it is loaded.",
        "`async def deploy(call: int) -> None`, or `StillRunning` without a `poll` step",
        "Write what the message says, at the function and line that it names.",
    ),
    "SOP412": CodeDoc(
        "plugin is offered twice",
        "A plugin's code and version is offered by one package.",
        "Which of the two would run would depend on the order of installation.",
        "Two packages that both bring `notify` version `v1.0`",
        "Give one of them another version, or remove one of the packages.",
    ),
    "SOP413": CodeDoc(
        "no plugins where some are offered",
        "There is a plugin or lazy variable behind every entry point of the group "
        "`stdops.plugins`.",
        "A function without its decorator is a function like any other, and nobody would notice.",
        'An entry point `acme = "acme"` where the plugins are in `acme_plugins`',
        "Put `@plugin(...)` above the function, or correct the entry point and install again.",
    ),
    "SOP420": CodeDoc(
        "the plugin says no",
        "What a plugin asks of the outside is granted.",
        "The node fails with the plugin's own text.",
        '`raise PluginError("host web-1 is not known")`',
        "Mend what the text names, then `retry` the node, or `skip` it.",
    ),
    "SOP430": CodeDoc(
        "no address of a BlueKing system is set",
        "The workers' settings say where the systems of BlueKing are that plugins call.",
        "The plugin has nowhere to send its call; nothing was sent.",
        "`job_fast_execute_script` on workers without `blueking.esb_url`",
        "Set the address that the message names, start the workers again, then `retry`.",
    ),
    "SOP431": CodeDoc(
        "settings of a plugin are wrong",
        "A plugin's table of the workers' settings has the fields that the plugin declares.",
        "The plugin cannot do its work as the worker is set; nothing was sent.",
        "`[plugins.sql]` with a field `conections`",
        "Correct the field that the message names, start the workers again, then `retry`.",
    ),
    "SOP432": CodeDoc(
        "a remote plugin cannot be asked",
        "With `--online`, the service of every remote plugin in a template answers.",
        "The inputs of its nodes are not checked here; the service does so when a run comes there.",
        "A service that is down, or whose address no setting names",
        "Mend what the message names, or check without `--online`.",
    ),
    "SOP501": CodeDoc(
        "a package name is taken",
        "No other distribution brings `translator`, `activities`, `workflows` or `workers`.",
        "Two packages of one name merge, and modules of the other would run in place of ours.",
        "stdops installed beside another distribution that ships `workflows`",
        "Install stdops in an environment of its own.",
    ),
    "SOP502": CodeDoc(
        "the embedded server cannot be started",
        "The program `temporal` is installed, its port is free, and its folder can be written.",
        "`stdops dev` and `stdops demo` bring their own Temporal server.",
        "Another server on the same port",
        "Read the log that the message names, choose another port, or connect to a server of "
        "your own with TEMPORAL_ADDRESS.",
    ),
    "SOP503": CodeDoc(
        "no Temporal server answers",
        "The server that the profile or TEMPORAL_ADDRESS names can be reached.",
        "Runs live there.",
        "`stdops status` without a server",
        "Start one with `stdops dev`, or correct address, namespace and key.",
    ),
    "SOP504": CodeDoc(
        "unknown run",
        "A run is named by its workflow id.",
        "The server does not know this one in this namespace.",
        "`stdops status relase-1`",
        "Take the name from `stdops list`; mind the namespace.",
    ),
    "SOP505": CodeDoc(
        "no worker answers",
        "A worker polls the task queue of the run.",
        "The server holds the run, but only a worker can look into it or move it.",
        "`stdops status RUN` while no worker runs",
        "Start one with `stdops worker`; the run goes on from where it was.",
    ),
    "SOP506": CodeDoc(
        "Temporal refuses the request",
        "The server accepts what is asked of it.",
        "A limit, a right or a name stands in the way.",
        "A start with a workflow id that is in use",
        "Correct what the message names.",
    ),
    "SOP507": CodeDoc(
        "the run did not finish",
        "The run whose end is awaited finishes.",
        "It failed, was cancelled or was terminated.",
        "`stdops run --wait` of a run that somebody terminates",
        "`stdops status RUN` shows how far it came.",
    ),
    "SOP508": CodeDoc(
        title="a run could not be prepared",
        requires="The first activity of a run loads its plan and the settings that it depends on.",
        why="A worker that fails there, or is lost again and again, leaves nothing to interpret.",
        example="load_plan: the worker process was lost",
        fix="Look at the worker's log; start the run again when a worker is up.",
    ),
    "SOP510": CodeDoc(
        "unknown setting",
        "Every variable `STDOPS_...` and every key of the settings file is a setting.",
        "A mistyped setting would be ignored in silence.",
        "`STDOPS_TASK_QEUE=zone-b`",
        "Correct or remove it; the message names the nearest setting.",
    ),
    "SOP511": CodeDoc(
        "wrong value of a setting",
        "A setting has the type that its description says.",
        "It would fail later, or do something else than was meant.",
        "`STDOPS_PLUGIN_QUEUES=zone-b`, where an object is wanted",
        "Write the value as the message describes it.",
    ),
    "SOP512": CodeDoc(
        "settings file cannot be read",
        "The file that STDOPS_CONFIG names is there, and is TOML in UTF-8.",
        "Going on without it would run with other settings than were meant.",
        "A file with `queue = ` and no value",
        "Mend the line that the message names.",
    ),
    "SOP513": CodeDoc(
        "no keys for secrets",
        "There are keys in `STDOPS_SECRET_KEYS`, or in the file `secret.key` of the data folder.",
        "Without them nothing secret can be sealed or opened.",
        "The key file belongs to another user, or holds something else",
        "Mend the file, or set STDOPS_SECRET_KEYS to the keys of the other workers.",
    ),
    "SOP514": CodeDoc(
        "the receiver of callbacks cannot listen",
        "The port of STDOPS_RECEIVER_PORT is free, and this machine has the address.",
        "Without it no outside system can call a node back by HTTP.",
        "Two workers on one machine, each with the same receiver port",
        "Free the port or choose another; one receiver is enough for all workers.",
    ),
    "SOP515": CodeDoc(
        "metrics or health cannot be offered",
        "The ports of STDOPS_METRICS_ADDRESS and STDOPS_HEALTH_ADDRESS are free, and this machine "
        "has the addresses.",
        "Without them nobody would see that a worker is in trouble.",
        "Two workers on one machine, each with the same metrics address",
        "Free the port or choose another; a process of its own needs one of its own.",
    ),
    "SOP516": CodeDoc(
        "traces cannot be sent",
        "With STDOPS_TRACES the extra `otel` is installed.",
        "Without OpenTelemetry's packages there is nothing that could send them.",
        "`STDOPS_TRACES=true stdops worker` after `pip install stdops`",
        "Install `stdops[otel]`, or leave STDOPS_TRACES out.",
    ),
    "SOP517": CodeDoc(
        "the process is not well",
        "`stdops health` asks a worker or receiver at its health address, and it says that it is.",
        "A supervisor restarts what does not answer, and sends nothing to what is not ready.",
        "A worker whose Temporal server is away, asked with `--ready`",
        "Mend what the answer names; `stdops doctor` looks at the whole installation.",
    ),
    "SOP518": CodeDoc(
        "an encrypted payload cannot be read",
        "Whoever reads a run has the keys of the payload codec with which it was written.",
        "What travels to Temporal is encrypted where the workers have keys; the message names the "
        "one that is missing.",
        "`stdops status RUN` on a machine without STDOPS_CODEC_KEYS",
        "Set STDOPS_CODEC_KEYS, or put `codec.key` into the data folder, as on the workers.",
    ),
    "SOP519": CodeDoc(
        "the codec server cannot be started",
        "It has a key, its port is free, and it wants a token where others can reach it.",
        "It decrypts what it is sent: open to a network it would do so for everybody.",
        "`STDOPS_CODEC_HOST=0.0.0.0 stdops codec-server` without STDOPS_CODEC_TOKENS",
        "Set what the message names.",
    ),
    "SOP520": CodeDoc(
        "the store cannot be used",
        "The database of STDOPS_STORE_URL can be opened and answers.",
        "Templates and plans are kept there.",
        "An address of a database server that is down",
        "Check STDOPS_STORE_URL, STDOPS_DATA_DIR, and that the folder or server is there.",
    ),
    "SOP521": CodeDoc(
        "the store is locked",
        "Nobody holds the store's lock for longer than ten seconds.",
        "SQLite lets one process write at a time.",
        "An import during another program's long transaction",
        "Wait and try again; for many writers use PostgreSQL.",
    ),
    "SOP522": CodeDoc(
        "the store is damaged",
        "The file is a database.",
        "What it held cannot be read.",
        "A file that was cut off when the disk was full",
        "Restore it from a copy, or move it away and import the templates again.",
    ),
    "SOP523": CodeDoc(
        "the store is read-only",
        "The store's file and folder can be written.",
        "Importing a template writes, and so does a run that leaves nodes out.",
        "A folder that belongs to another user",
        "Make it writable, or set STDOPS_STORE_URL to another place.",
    ),
    "SOP524": CodeDoc(
        "the store is newer than stdops",
        "The store has a shape that this version knows.",
        "An older version would misread it.",
        "Going back to an older stdops with the same store",
        "Upgrade stdops on this machine, or use another store.",
    ),
    "SOP525": CodeDoc(
        "unknown template",
        "The store holds a template of that key.",
        "There is nothing to run.",
        "`stdops run relase`",
        "Correct the key, or bring the template in by `stdops import FILE`.",
    ),
    "SOP526": CodeDoc(
        "unknown version of a template",
        "The store holds that version, and a version is a whole number.",
        "Another version may do something else.",
        "`stdops run release --version 9`",
        "Name a version that is there, or leave it out to take the newest.",
    ),
    "SOP527": CodeDoc(
        "plan is not in the store",
        "The worker finds the plan of a run by its digest.",
        "Worker and command line use different stores, or the store was emptied.",
        "A worker on another machine with a SQLite store of its own",
        "Let all use the same STDOPS_STORE_URL, or import the template again.",
    ),
    "SOP528": CodeDoc(
        "plan is of another version of stdops",
        "A stored plan has a shape that this version knows.",
        "It cannot be read.",
        "A plan that a newer stdops wrote",
        "Upgrade stdops, or import the template again.",
    ),
    "SOP530": CodeDoc(
        "the payload store cannot be used",
        "The place that the setting `payload_store` names can be read and written.",
        "What is too large for Temporal's history is kept there; without it no such value travels.",
        "`STDOPS_PAYLOAD_STORE=s3://ops-payloads` without the extra `s3`",
        "Mend what the message names; steps that met it are tried again by themselves.",
    ),
    "SOP531": CodeDoc(
        "a value is not in the payload store",
        "What the history of a run refers to is in the payload store, unchanged.",
        "Without it the run cannot be read, nor go on.",
        "A bucket whose objects expire before the runs that refer to them",
        "Restore it, then the run goes on by itself; or terminate the run. All workers and clients "
        "need the same STDOPS_PAYLOAD_STORE.",
    ),
    "SOP550": CodeDoc(
        "history cannot be read",
        "`stdops replay` takes histories as Temporal exports them, as JSON.",
        "Without its events nothing can be replayed.",
        "`stdops replay release.json`, where the file is a template",
        "Export one by `temporal workflow show --workflow-id RUN --output json`, or name a run.",
    ),
    "SOP551": CodeDoc(
        "nothing to replay is named",
        "`stdops replay` is given histories, or `--running` for those of all open runs.",
        "Both at once would leave open what is meant.",
        "`stdops replay`",
        "Name files or runs, or give `--running`.",
    ),
    "SOP532": CodeDoc(
        "a value is too large",
        "A value has at most 1.9 MB as it is sent (compressed), 32 MB with a payload store.",
        "Temporal refuses larger ones, and what holds them would hang.",
        "A run started with a file of 10 MB among its inputs",
        "Keep the data outside and pass on where it is, or set STDOPS_PAYLOAD_STORE.",
    ),
    "SOP540": CodeDoc(
        "the system refuses",
        "Files can be read and written where a command needs it.",
        "The operating system has said no.",
        "`stdops lint` of a file without permission to read it",
        "Check the name and the permissions of what the message names.",
    ),
    "SOP541": CodeDoc(
        "an argument cannot be used",
        "A file, a template or a value that a command is given is there and can be read.",
        "The command would do something else than was meant.",
        "`stdops lint relase.json`, `--set` without a `=`",
        "Correct what the message names.",
    ),
    "SOP542": CodeDoc(
        "several templates in the file",
        "A command that works on one template is told which.",
        "The file holds more than one.",
        "`stdops plan export.dat` with three templates in it",
        "Name the one that is meant after the file.",
    ),
    "SOP543": CodeDoc(
        "mocks cannot be read",
        "Mocks are an object of nodes or plugins, each with what its calls do.",
        "The simulation would play something else than was meant.",
        '`{"ping": {"outcome": "fails"}}`',
        'Write `{"<node or plugin>": [{"outcome": "fail", "error": "..."}, {}]}`.',
    ),
    "SOP544": CodeDoc(
        "a mock is for nobody",
        "A mock names a node or a plugin of the template.",
        "It would be ignored in silence.",
        "A mock for a node that was renamed",
        "Correct the name.",
    ),
    "SOP545": CodeDoc(
        "no worker to run it",
        "A worker polls the queue when a run is started from the command line.",
        "The run would wait without a word.",
        "`stdops run release` without a worker",
        "Start one with `stdops worker`, or use `stdops run --dev`.",
    ),
    "SOP546": CodeDoc(
        "a folder is there already",
        "`stdops plugins new` makes a folder of its own.",
        "It writes over nothing.",
        "`stdops plugins new acme-deploy`, twice",
        "Choose another name, or another folder by `--into`.",
    ),
    "SOP599": CodeDoc(
        "stdops has failed",
        "stdops does not fail by itself.",
        "This is a fault of ours; the traceback is in the file that the message names.",
        "Any message with this code",
        "Please report it, with that file.",
    ),
}
"""Every code of operations, plugins, installation and the command line, in order."""


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(CODES), "utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")


if __name__ == "__main__":
    main()
