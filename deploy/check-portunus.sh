#!/usr/bin/env bash
# Asks the gateway for its health. Silent and 0 when it is well; otherwise one line that begins with ALERT, and the
# exit code of `portunus health`. For cron, every five minutes:
#
#   */5 * * * * /usr/local/bin/check-portunus.sh
#
#   PORTUNUS_GATEWAY_URL  what to ask (http://localhost:8080)
#   ALERT_EMAIL           where to send the line as well, if this machine has `mail`
#   PORTUNUS_BIN          the program (portunus)
set -uo pipefail

url=${PORTUNUS_GATEWAY_URL:-http://localhost:8080}
portunus=${PORTUNUS_BIN:-portunus}

status=0
output=$("$portunus" health --url "$url" 2>&1) || status=$?
[ "$status" -ne 0 ] || exit 0

# The line that `portunus health` prints; or our own, when it could not even run.
line=$(grep -m 1 '^ALERT: ' <<<"$output") ||
  line="ALERT: the health check of $url returned exit code $status at $(date)"
printf '%s\n' "$line"

if [ -n "${ALERT_EMAIL:-}" ] && command -v mail >/dev/null 2>&1; then
  printf '%s\n' "$line" | mail -s "Portunus health alert" "$ALERT_EMAIL" ||
    printf 'check-portunus: the mail to %s could not be sent\n' "$ALERT_EMAIL" >&2
fi
exit "$status"
