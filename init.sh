#!/bin/sh
# Makes a new Kontract app:  sh init.sh my-app
#
# Runs 'kontract init' by the Deno that is installed, or by Deno from npm where only npx is. It installs
# nothing. In a clone of the repository the clone's own version is used.
set -eu

needed_major=2
needed_minor=9
from_npm=deno@2.9.6
kontract=jsr:@kontract/kontract/cli

case $0 in
  */init.sh) clone=${0%/*} ;;
  init.sh) clone=. ;;
  *) clone= ;;
esac
if [ -n "$clone" ] && [ -f "$clone/cli.ts" ] && [ -f "$clone/cli/init/init_app.ts" ]; then
  kontract=$clone/cli.ts
fi

# True where the Deno on PATH is new enough.
deno_is_new_enough() {
  version=$(deno --version) || return 1
  version=${version#deno }
  version=${version%%[!0-9.]*}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ "$major" -gt "$needed_major" ] ||
    { [ "$major" -eq "$needed_major" ] && [ "$minor" -ge "$needed_minor" ]; }
}

if command -v deno >/dev/null 2>&1 && deno_is_new_enough; then
  exec deno run -A "$kontract" init "$@"
fi
if command -v npx >/dev/null 2>&1; then
  exec npx -y "$from_npm" run -A "$kontract" init "$@"
fi
if command -v deno >/dev/null 2>&1; then
  echo "Kontract needs Deno $needed_major.$needed_minor or later. Run 'deno upgrade' and try again." >&2
else
  echo "Kontract needs Deno. Install it (https://docs.deno.com/runtime/getting_started/installation/)" >&2
  echo "and try again. With Node.js installed, its npx will do." >&2
fi
exit 1
