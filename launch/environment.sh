# Create or update the environment of the project, .venv, and put its `python` on the PATH.
# Source this file; it sets `root`, the folder of the project.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Print the first Python that runs, is new enough and can create an environment.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import ensurepip, sys, venv
assert sys.version_info >= (3, 11)' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.11 or newer with its venv module was found." >&2
    echo "On Debian and Ubuntu: apt-get install python3 python3-venv" >&2
    return 1
}

make_environment() {
    local python wanted stamp="$root/.venv/installed"
    if ! "$root/.venv/bin/python" -c 'import pip' 2>/dev/null; then
        python="$(find_python)"
        echo "Creating the environment $root/.venv with $("$python" --version)" >&2
        "$python" -m venv --clear "$root/.venv"
    fi
    # The stamp file records the inputs of the last complete installation.
    wanted="$root"$'\n'"$(<"$root/pyproject.toml")"
    if [[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]]; then
        echo "Installing swajax and its dependencies (a few minutes the first time)" >&2
        "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --editable "$root[test]"
        printf '%s\n' "$wanted" >"$stamp"
    fi
}

make_environment
export PATH="$root/.venv/bin:$PATH"
