"""`staff_group_selector`: the people of staff groups and of a business's roles.

Source: plugins' reference, section 3.13; differs: nobody is named twice, and the order is fixed.
Staff groups are bk-sops's own; here they are a setting of the workers.
"""

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.form import Fields
from activities.blueking.notices import receivers, staff_members
from activities.blueking.scope import scope_of
from activities.blueking.variables.common import SEPARATOR
from activities.calls import Lookup
from activities.sdk import lazy_variable


@lazy_variable("staff_group_selector")
async def staff_group_selector(lookup: Lookup) -> JsonValue:
    """Compute the names of the users in the groups that are chosen."""
    bk, scope = blueking(lookup), scope_of(lookup.context)
    chosen = [str(each) for each in Fields({"groups": lookup.value}).items("groups")]
    own = [group for group in chosen if group.isdigit()]
    people = [name for group in own for name in staff_members(bk.settings, group)]
    roles = {"bk_receiver_group": [group for group in chosen if group not in own]}
    people += await receivers(bk, scope, Fields(roles))
    return SEPARATOR.join(sorted({*people}))
