"""What the findings of the readers mean: SOP0xx, and what they mend in policies (SOP3xx).

`FORMAT_CODES` is the one table of them: the documentation is generated from it, and a test fails
when a code is raised that does not stand here.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class CodeDoc(NamedTuple):
    """What a person reads about a diagnostic code.

    `requires` says what a valid document has, `why` the reason, `example` what fails, `fix` what
    to do about it; each is one to three lines of plain text.
    """

    title: str
    requires: str
    why: str
    example: str
    fix: str


FORMAT_CODES: Final[Mapping[str, CodeDoc]] = {
    "SOP001": CodeDoc(
        "not a bk-sops template",
        "A file is a pipeline tree in JSON, an engine tree in JSON, a `.dat` export or YAML v1.",
        "The format is found by content, and this content is none of the four.",
        '`{"nodes": [], "connections": {}}`, a zip archive, a web page',
        "Export the template again from bk-sops, as `.dat` or YAML.",
    ),
    "SOP002": CodeDoc(
        "malformed JSON, YAML or base64",
        "The text parses to its end; numbers are finite, and text is valid Unicode.",
        "A file that was cut off or edited by hand would run as something else than was meant.",
        '`{"activities": {`, `{"times": NaN}`',
        "Mend the text at the line and column given, or export the template again.",
    ),
    "SOP003": CodeDoc(
        "wrong digest",
        "The digest of a `.dat` export is that of its content.",
        "The content was changed after it was exported, or damaged on its way.",
        "A `.dat` that was decoded, edited and encoded again",
        "Export the template again; to change it by hand, use the JSON or YAML form.",
    ),
    "SOP004": CodeDoc(
        "too large",
        "A file has at most 50 MiB.",
        "Parsing takes a multiple of the size in memory; real templates have less than 5 MiB.",
        "A database dump",
        "Export fewer templates at once.",
    ),
    "SOP005": CodeDoc(
        "nested too deeply",
        "Objects and lists nest at most 100 levels deep.",
        "Real templates have less than 40 levels; deeper ones only exhaust the stack.",
        "`[[[[...]]]]` with 101 brackets",
        "Flatten the value, or export the templates with their children apart.",
    ),
    "SOP006": CodeDoc(
        "duplicate key",
        "A key stands once in an object.",
        "Only the last one would count, so part of the template would be lost in silence.",
        '`{"name": "a", "name": "b"}`',
        "Remove or rename one of them.",
    ),
    "SOP007": CodeDoc(
        "wrong value of a field",
        "A field has the type, and where there are few, one of the values that bk-sops writes.",
        "A value of another kind would be misread, or fail in the middle of a run.",
        '`{"retryable": "no"}`',
        "Write a value of the kind that the message names.",
    ),
    "SOP008": CodeDoc(
        "missing field",
        "The fields that give a node, an edge or a variable its meaning are there.",
        "Without them there is nothing to run; guessing would hide the damage.",
        "A tree without `start_event`, a task without `component`",
        "Add the field, or export the template again.",
    ),
    "SOP009": CodeDoc(
        "unknown version of the format",
        "`exporter_version` is 1, `schema_version` is v1.",
        "A newer format may mean other things by the same fields.",
        '`{"exporter_version": 2, ...}`',
        "Export with a known version, or update stdops.",
    ),
    "SOP010": CodeDoc(
        "not UTF-8",
        "The text is UTF-8, with or without a byte order mark.",
        "Another encoding would garble names and values.",
        "A file saved as GBK or UTF-16",
        "Save the file as UTF-8.",
    ),
    "SOP011": CodeDoc(
        "unknown node type",
        "A node is of a type that bk-sops has, and stands in the map for it.",
        "What the node does is unknown.",
        '`{"type": "ServiceActivty"}`, a gateway among the activities',
        "Correct the type.",
    ),
    "SOP012": CodeDoc(
        "no template in the file",
        "A file holds at least one template.",
        "There is nothing to import.",
        "An empty file, an export of no templates, an API answer that reports a failure",
        "Choose at least one template when exporting.",
    ),
    "SOP013": CodeDoc(
        "key and name differ",
        "A node, an edge or a variable stands under the key that it names as its own.",
        "Either of the two may be the one that the rest of the template refers to.",
        '`{"activities": {"n1": {"id": "n2"}}}`',
        "Make the two equal.",
    ),
    "SOP020": CodeDoc(
        "sub-template not found",
        "The template that a subflow calls is in the same file or in the library.",
        "The subflow cannot be run without it.",
        "A SubProcess with a `template_id` that no template has",
        "Export the child along with its parent, or import it first.",
    ),
    "SOP021": CodeDoc(
        "a template inside itself, or too many levels",
        "No template calls itself, directly or through others; at most 200 levels nest.",
        "Unfolding it would never end.",
        "A calls B, and B calls A",
        "Break the circle: take the repeated part out, or loop with an exclusive gateway.",
    ),
    "SOP022": CodeDoc(
        "another version of a sub-template",
        "The version that a subflow is pinned to is the one that is found.",
        "The child may have changed since the parent was last edited.",
        "A SubProcess pinned to a version that the library no longer has",
        "Update the subflow in the parent, or set `always_use_latest`.",
    ),
    "SOP023": CodeDoc(
        "execution scheme not found",
        "The schemes that a subflow names exist in its child.",
        "A missing scheme keeps no node, so every optional node of the child is left out.",
        "A SubProcess with `scheme_id_list: [9]`, and no scheme 9",
        "Choose an existing scheme, or export the schemes along with the templates.",
    ),
    "SOP024": CodeDoc(
        "a node cannot be left out",
        "The nodes to leave out exist and are optional.",
        "Leaving out a node that is not optional breaks what the template's author relies on.",
        "Excluding a node with `optional: false`",
        "Mark the node optional in the template, or keep it.",
    ),
    "SOP025": CodeDoc(
        "too many nodes when unfolded",
        "A template with all its sub-templates has at most 100,000 nodes.",
        "Templates that call each other several times grow with every level.",
        "Twenty levels, each calling the next one twice",
        "Make the sub-templates smaller, or call them less often.",
    ),
    "SOP026": CodeDoc(
        "fields contradict each other",
        "An input does not have both `is_param` and `need_render`.",
        "bk-sops refuses to start such a flow.",
        '`{"value": "x", "is_param": true, "need_render": true}`',
        "Set one of the two to false.",
    ),
    "SOP027": CodeDoc(
        "the options of a select are not in the file",
        "A `text_value_select` variable brings its options, or its address has been read before.",
        "The options stand behind an address that the export does not hold, so no text is known.",
        'A variable with `"datasource": "1"` and no `remote_data`',
        "Give the options in the template itself.",
    ),
    "SOP028": CodeDoc(
        "more findings than are shown",
        "A file has at most 1,000 findings.",
        "The rest would say nothing new, and a hostile file could have millions.",
        "A file of another product that looks like a template",
        "Mend what is shown, then check again.",
    ),
    "SOP302": CodeDoc(
        "automatic retry is out of bounds",
        "A node retries by itself 1 to 10 times, 0 to 60 seconds apart.",
        "bk-sops cuts other values to these bounds without a word; 0 times counts as 10.",
        '`{"enable": true, "times": 99, "interval": 600}`',
        "Choose values within the bounds.",
    ),
    "SOP303": CodeDoc(
        "time limit has no usable number of seconds",
        "A time limit has a positive whole number of seconds, at most ten years.",
        "bk-sops ignores a limit of 0 or of another kind, so the node would run without one; "
        "a negative limit is over as soon as the node runs.",
        '`{"enable": true, "seconds": 0}`, `{"enable": true, "seconds": "60"}`',
        "Give the number of seconds, or disable the limit.",
    ),
}
"""Every code of the readers, in order."""
