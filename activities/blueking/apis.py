"""Every API of BlueKing that a plugin calls, by the name that error texts give it.

Source: the plugins' reference, section 4.3. A path stands under the address of its system. What
only reads may be asked again when its answer is lost; what writes may not.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Method = Literal["GET", "POST", "PUT"]


class Api(NamedTuple):
    """One API: method, path below its system's address, and whether it changes nothing.

    `user_header` is where a system wants the user's name, besides the credentials.
    """

    method: Method
    path: str
    only_reads: bool
    user_header: str = ""


def _reads(method: Method, path: str) -> Api:
    return Api(method, path, only_reads=True)


def _writes(method: Method, path: str) -> Api:
    return Api(method, path, only_reads=False)


_BUILDS: Final = "/v4/apigw-app/projects/{project}"
_RELEASE: Final = (
    "/helmmanager/v1/projects/{project}/clusters/{cluster}"
    "/namespaces/{namespace}/releases/{release}"
)
_CI_USER: Final = "X-DEVOPS-UID"

APIS: Final[Mapping[str, Api]] = {
    "bcs-api-gateway.get_release_detail": _reads("GET", _RELEASE),
    "bcs-api-gateway.upgrade_release": _writes("PUT", _RELEASE),
    "bk_log.esquery_search": _reads("POST", "/esquery_search/"),
    "cc.add_host_lock": _writes("POST", "/add_host_lock/"),
    "cc.batch_delete_set": _writes("POST", "/batch_delete_set/"),
    "cc.batch_update_host": _writes("POST", "/batch_update_host/"),
    "cc.create_module": _writes("POST", "/create_module/"),
    "cc.create_set": _writes("POST", "/create_set/"),
    "cc.delete_host_lock": _writes("POST", "/delete_host_lock/"),
    "cc.execute_dynamic_group": _reads("POST", "/execute_dynamic_group/"),
    "cc.find_module_batch": _reads("POST", "/find_module_batch/"),
    "cc.find_module_with_relation": _reads("POST", "/find_module_with_relation/"),
    "cc.find_set_batch": _reads("POST", "/find_set_batch/"),
    "cc.get_biz_internal_module": _reads("GET", "/get_biz_internal_module/"),
    "cc.get_host_base_info": _reads("GET", "/get_host_base_info/"),
    "cc.get_mainline_object_topo": _reads("GET", "/get_mainline_object_topo/"),
    "cc.list_biz_hosts": _reads("POST", "/list_biz_hosts/"),
    "cc.list_biz_hosts_topo": _reads("POST", "/list_biz_hosts_topo/"),
    "cc.list_business_set": _reads("POST", "/list_business_set/"),
    "cc.list_hosts_without_biz": _reads("POST", "/list_hosts_without_biz/"),
    "cc.list_service_template": _reads("POST", "/list_service_template/"),
    "cc.search_biz_inst_topo": _reads("GET", "/search_biz_inst_topo/"),
    "cc.search_business": _reads("POST", "/search_business/"),
    "cc.search_dynamic_group": _reads("POST", "/search_dynamic_group/"),
    "cc.search_module": _reads("POST", "/search_module/"),
    "cc.search_object_attribute": _reads("POST", "/search_object_attribute/"),
    "cc.search_set": _reads("POST", "/search_set/"),
    "cc.transfer_host_module": _writes("POST", "/transfer_host_module/"),
    "cc.transfer_host_to_faultmodule": _writes("POST", "/transfer_host_to_faultmodule/"),
    "cc.transfer_host_to_idlemodule": _writes("POST", "/transfer_host_to_idlemodule/"),
    "cc.transfer_host_to_recyclemodule": _writes("POST", "/transfer_host_to_recyclemodule/"),
    "cc.transfer_host_to_resourcemodule": _writes("POST", "/transfer_host_to_resourcemodule/"),
    "cc.transfer_sethost_to_idle_module": _writes("POST", "/transfer_sethost_to_idle_module/"),
    "cc.update_host": _writes("POST", "/update_host/"),
    "cc.update_module": _writes("POST", "/update_module/"),
    "cc.update_set": _writes("POST", "/update_set/"),
    "cmsi.get_msg_type": _reads("GET", "/get_msg_type/"),
    "cmsi.send_mail": _writes("POST", "/send_mail/"),
    "cmsi.send_msg": _writes("POST", "/send_msg/"),
    "cmsi.send_sms": _writes("POST", "/send_sms/"),
    "cmsi.send_voice_msg": _writes("POST", "/send_voice_msg/"),
    "cmsi.send_weixin": _writes("POST", "/send_weixin/"),
    "devops.build_start": _writes(
        "POST", f"{_BUILDS}/build_start?pipelineId={{pipeline}}"
    )._replace(user_header=_CI_USER),
    "devops.build_status": _reads("GET", f"{_BUILDS}/build_status")._replace(user_header=_CI_USER),
    "devops.build_stop": _writes(
        "POST", f"{_BUILDS}/build_stop?pipelineId={{pipeline}}&buildId={{build}}"
    )._replace(user_header=_CI_USER),
    "gse.list_agent_state": _reads("POST", "/api/v2/cluster/list_agent_state"),
    "gsekit.job/create_job": _writes("POST", "/api/job/create_job/"),
    "gsekit.job/job_status": _reads("POST", "/api/job/job_status/"),
    "gsekit.process/flush_process": _writes("POST", "/api/process/flush_process/"),
    "itsm.create_ticket": _writes("POST", "/create_ticket/"),
    "itsm.get_ticket_info": _reads("GET", "/get_ticket_info/"),
    "itsm.get_ticket_status": _reads("GET", "/get_ticket_status/"),
    "itsm.operate_node": _writes("POST", "/operate_node/"),
    "itsm.operate_ticket": _writes("POST", "/operate_ticket/"),
    "itsm.ticket_approval_result": _reads("POST", "/ticket_approval_result/"),
    "jobv3.create_credential": _writes("POST", "/create_credential/"),
    "jobv3.create_file_source": _writes("POST", "/create_file_source/"),
    "jobv3.execute_job_plan": _writes("POST", "/execute_job_plan/"),
    "jobv3.fast_execute_script": _writes("POST", "/fast_execute_script/"),
    "jobv3.fast_transfer_file": _writes("POST", "/fast_transfer_file/"),
    "jobv3.get_job_instance_global_var_value": _reads("GET", "/get_job_instance_global_var_value/"),
    "jobv3.get_job_instance_ip_log": _reads("GET", "/get_job_instance_ip_log/"),
    "jobv3.get_job_instance_list": _reads("GET", "/get_job_instance_list/"),
    "jobv3.get_job_instance_status": _reads("GET", "/get_job_instance_status/"),
    "jobv3.get_public_script_list": _reads("GET", "/get_public_script_list/"),
    "jobv3.get_script_list": _reads("GET", "/get_script_list/"),
    "jobv3.operate_job_instance": _writes("POST", "/operate_job_instance/"),
    "jobv3.push_config_file": _writes("POST", "/push_config_file/"),
    "jobv3.save_cron": _writes("POST", "/save_cron/"),
    "jobv3.update_cron_status": _writes("POST", "/update_cron_status/"),
    "monitor_v3.add_shield": _writes("POST", "/add_shield/"),
    "monitor_v3.disable_shield": _writes("POST", "/disable_shield/"),
    "nodeman.create_task": _writes("POST", "/create_task/"),
    "nodeman.get_job_log": _reads("POST", "/api/job/log/"),
    "nodeman.get_log": _reads("GET", "/get_log/"),
    "nodeman.get_rsa_public_key": _reads("POST", "/core/api/encrypt_rsa/fetch_public_keys/"),
    "nodeman.get_task_info": _reads("GET", "/get_task_info/"),
    "nodeman.host_details": _reads("POST", "/core/api/ipchooser_host/details/"),
    "nodeman.job_details": _reads("POST", "/api/job/details/"),
    "nodeman.job_install": _writes("POST", "/api/job/install/"),
    "nodeman.job_operate": _writes("POST", "/api/job/operate/"),
    "nodeman.plugin_operate": _writes("POST", "/api/plugin/operate/"),
    "nodeman.remove_host": _writes("POST", "/api/remove_host/"),
    "nodeman.search_host_plugin": _reads("POST", "/api/plugin/search/"),
    "nodemgr.host_list": _reads("POST", "/api/v3/topo/host/list"),
    "nodemgr.networkunit_recommand": _reads(
        "POST", "/api/v3/topo/networkunit/recommend_by_network_segment"
    ),
    "nodemgr.node_install": _writes("POST", "/api/v3/node/{role}/install"),
    "nodemgr.node_install_check": _reads("POST", "/api/v3/node/{role}/install_check"),
    "nodemgr.node_reconfig": _writes("POST", "/api/v3/node/{role}/reconfig"),
    "nodemgr.node_restart": _writes("POST", "/api/v3/node/{role}/restart"),
    "nodemgr.node_uninstall": _writes("POST", "/api/v3/node/{role}/uninstall"),
    "nodemgr.node_upgrade": _writes("POST", "/api/v3/node/{role}/upgrade"),
    "nodemgr.node_workflow_operation_list": _reads("POST", "/api/v3/node/workflow/operation/list"),
    "nodemgr.plugin_install": _writes("POST", "/api/v3/plugin/install"),
    "nodemgr.plugin_uninstall": _writes("POST", "/api/v3/plugin/uninstall"),
    "nodemgr.plugin_workflow_operation_list": _reads(
        "POST", "/api/v3/plugin/workflow/operation/list"
    ),
    "nodemgr.public_key_get": _reads("POST", "/api/v3/cipher/rsa/get_public_key"),
}
