"""The rules that a template obeys, one check per file; their order is that of the report."""

from typing import Final

from translator.rules.blocks_have_borders import blocks_have_borders
from translator.rules.branches_have_conditions import branches_have_conditions
from translator.rules.branches_meet import branches_meet
from translator.rules.conditions_parse import conditions_parse
from translator.rules.context import Rule
from translator.rules.converges_serve_one_fork import converges_serve_one_fork
from translator.rules.default_has_no_condition import default_has_no_condition
from translator.rules.defaults_fit import defaults_fit
from translator.rules.degrees_in_bounds import degrees_in_bounds
from translator.rules.distinct_branch_targets import distinct_branch_targets
from translator.rules.edges_join_known_nodes import edges_join_known_nodes
from translator.rules.expressions_evaluate import expressions_evaluate
from translator.rules.forks_converge import forks_converge
from translator.rules.gateways_branch import gateways_branch
from translator.rules.input_choices import input_choices
from translator.rules.input_patterns import input_patterns
from translator.rules.input_types import input_types
from translator.rules.known_inputs import known_inputs
from translator.rules.known_lazy_types import known_lazy_types
from translator.rules.known_outputs import known_outputs
from translator.rules.known_plugin_versions import known_plugin_versions
from translator.rules.known_plugins import known_plugins
from translator.rules.known_variables import known_variables
from translator.rules.loops_end import loops_end
from translator.rules.names_in_bounds import names_in_bounds
from translator.rules.no_reference_cycles import no_reference_cycles
from translator.rules.no_self_reference import no_self_reference
from translator.rules.nodes_are_reachable import nodes_are_reachable
from translator.rules.one_writer_at_a_time import one_writer_at_a_time
from translator.rules.outputs_before_use import outputs_before_use
from translator.rules.required_inputs import required_inputs
from translator.rules.start_and_end_connect import start_and_end_connect
from translator.rules.subflows_nest_in_bounds import subflows_nest_in_bounds
from translator.rules.timeout_alone import timeout_alone
from translator.rules.unique_node_ids import unique_node_ids
from translator.rules.used_variables import used_variables
from translator.rules.variable_keys import variable_keys

SPECIFIED_RULES: Final[tuple[Rule, ...]] = (
    edges_join_known_nodes,
    start_and_end_connect,
    degrees_in_bounds,
    nodes_are_reachable,
    forks_converge,
    converges_serve_one_fork,
    blocks_have_borders,
    unique_node_ids,
    loops_end,
    branches_meet,
    branches_have_conditions,
    default_has_no_condition,
    names_in_bounds,
    distinct_branch_targets,
    gateways_branch,
    subflows_nest_in_bounds,
    known_variables,
    used_variables,
    outputs_before_use,
    variable_keys,
    no_self_reference,
    no_reference_cycles,
    known_outputs,
    conditions_parse,
    expressions_evaluate,
    known_lazy_types,
    one_writer_at_a_time,
    defaults_fit,
    timeout_alone,
    known_plugins,
    known_plugin_versions,
    known_inputs,
    required_inputs,
    input_types,
    input_choices,
    input_patterns,
)
"""All rules, by code."""
