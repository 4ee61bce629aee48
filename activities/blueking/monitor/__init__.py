"""Components of the monitoring platform: shields that keep alarms quiet for a while."""
