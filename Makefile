# What a fresh machine needs before doit can run: a virtual environment with the locked dependencies and this project.
# Everything else is in dodo.py; see it with `.venv/bin/doit list`.

.ONESHELL:
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.PHONY: help deploy test ready

# The dependencies are locked with the first of these; any of them that is here and new enough will do.
PYTHONS := python3.11 python3 python3.12 python3.13 python3.14

help: ## show this
	@echo "make deploy   do everything from here to a running Calvinverse, and say how to open it"
	@echo "make test     run every test, on the real parts"
	@echo "All other tasks: make ready, then .venv/bin/doit list"

deploy: ready
	@exec .venv/bin/doit deploy

test: ready
	@exec .venv/bin/doit test

ready:
	@fail() { echo "$$1" >&2; echo "$$2" >&2; exit 1; }
	stamp=$$({ pwd; cat requirements.lock pyproject.toml Makefile; } | cksum)
	if [ "$$(cat .venv/installed 2>/dev/null)" = "$$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then exit 0; fi
	python=
	for candidate in $(PYTHONS); do
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			python=$$candidate
			break
		fi
	done
	[ "$$python" ] || fail "There is no Python 3.11 or later on the PATH." \
		"Install one; on Debian 12: apt-get install python3 python3-venv"
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			echo "Installing python3-venv."
			{ apt-get -q update; apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends python3-venv; } \
				</dev/null >/dev/null || :
		fi
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$$python lacks its modules venv and ensurepip." \
			"Install them; on Debian, as root: apt-get install python3-venv"
	fi
	echo "Installing the locked dependencies into .venv with $$("$$python" --version); this takes about a minute."
	# A virtual environment can't be moved, and may have lost its Python.
	if ! .venv/bin/python -c '' 2>/dev/null || ! grep -qsF "$$(pwd -P)/.venv" .venv/pyvenv.cfg; then
		rm -rf .venv
		"$$python" -m venv .venv || fail "The virtual environment .venv can't be made." "See the lines above."
	fi
	rm -f .venv/installed
	pip() {
		.venv/bin/python -m pip --disable-pip-version-check --no-input -qq install --no-deps --progress-bar off "$$@" \
			</dev/null || fail "Installing the dependencies failed." "See the lines above; then run make again."
	}
	# What has no wheel is built with the locked setuptools, so that comes first.
	awk '/^[^ #]/ { keep = /^(pip|setuptools|wheel)==/ } keep' requirements.lock >.venv/builders.lock
	pip --require-hashes -r .venv/builders.lock
	pip --require-hashes --no-build-isolation -r requirements.lock
	pip --no-index --no-build-isolation -e .
	# Where the path of Python has a space in it, or is long, a shell reads it in each program, and would expand a `$$`.
	for program in $$(grep -lsI "^'''exec' " .venv/bin/*); do
		sed -i "2s|.*|'''exec' \"\$$(dirname -- \"\$$(readlink -f -- \"\$$0\")\")/python\" \"\$$0\" \"\$$@\"|" "$$program"
	done
	echo "$$stamp" >.venv/installed
