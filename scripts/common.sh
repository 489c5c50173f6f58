# Read by the other scripts: where things are, and how we speak.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
REPOSITORY=$PWD

# Debian puts nats-server where an ordinary user's PATH does not look.
case ":$PATH:" in
*:/usr/sbin:*) ;;
*) export PATH="$PATH:/usr/sbin" ;;
esac

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    warn "${0##*/}: $*"
    exit 1
}
