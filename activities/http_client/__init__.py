"""The one HTTP client of a worker: bounded, redacted, and without retries of its own.

Temporal retries, so that nothing is asked twice without anybody knowing. What a failed request
means for the work behind it is decided here, in one place: refused, surely not taken, or unknown.
Where a request may go is judged where its connection is opened, after its name was looked up.
"""

from activities.http_client.client import (
    MAX_BODY_BYTES,
    MAX_REQUEST_S,
    TIMEOUT_S,
    HttpClient,
    check_destination,
    create_client,
)
from activities.http_client.destinations import Destinations, read_rule
from activities.http_client.faults import (
    HIDDEN,
    MAX_RETRY_AFTER_S,
    BodyTooLargeError,
    DestinationRefusedError,
    HttpFault,
    Verdict,
    fault_of,
    retry_after_s,
    shown_headers,
    shown_url,
)

__all__ = [
    "HIDDEN",
    "MAX_BODY_BYTES",
    "MAX_REQUEST_S",
    "MAX_RETRY_AFTER_S",
    "TIMEOUT_S",
    "BodyTooLargeError",
    "DestinationRefusedError",
    "Destinations",
    "HttpClient",
    "HttpFault",
    "Verdict",
    "check_destination",
    "create_client",
    "fault_of",
    "read_rule",
    "retry_after_s",
    "shown_headers",
    "shown_url",
]
