# Makes a new Kontract app:  ./init.ps1 my-app
#
# Runs 'kontract init' by the Deno that is installed, or by Deno from npm where only npx is. It installs
# nothing. In a clone of the repository the clone's own version is used.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$needed = [version]'2.9'
$fromNpm = 'deno@2.9.6'
$kontract = 'jsr:@kontract/kontract/cli'

# $PSScriptRoot is empty where the script did not come from a file.
if ($PSScriptRoot) {
  $cli = Join-Path $PSScriptRoot 'cli.ts'
  $init = Join-Path (Join-Path (Join-Path $PSScriptRoot 'cli') 'init') 'init_app.ts'
  if ((Test-Path -LiteralPath $cli) -and (Test-Path -LiteralPath $init)) { $kontract = $cli }
}

function Test-Deno {
  $first = (& deno --version | Select-Object -First 1)
  return ($first -match '^deno (\d+\.\d+)') -and ([version]$Matches[1] -ge $needed)
}

$hasDeno = [bool](Get-Command deno -ErrorAction SilentlyContinue)
if ($hasDeno -and (Test-Deno)) {
  & deno run -A $kontract init @args
  exit $LASTEXITCODE
}
if (Get-Command npx -ErrorAction SilentlyContinue) {
  & npx -y $fromNpm run -A $kontract init @args
  exit $LASTEXITCODE
}
if ($hasDeno) {
  [Console]::Error.WriteLine("Kontract needs Deno $needed or later. Run 'deno upgrade' and try again.")
} else {
  [Console]::Error.WriteLine('Kontract needs Deno. Install it (https://docs.deno.com/runtime/getting_started/installation/)')
  [Console]::Error.WriteLine('and try again. With Node.js installed, its npx will do.')
}
exit 1
