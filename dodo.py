"""The task graph and nothing but: names, dependencies, one line of help each. What tasks do is in the rooms."""

from images.doit_reporter import SentenceReporter, room
from images.places import state_folder

DOIT_CONFIG = {
    "default_tasks": ["status"],
    "reporter": SentenceReporter,
    "verbosity": 2,
    "backend": "json",
    "dep_file": str(state_folder() / "doit.db"),
}

PARTS = ["tools", "docker", "build"]
"""What has to be there before anything real runs."""

KINDS = {
    "unit": ("test the rules and everything that needs no other part", []),
    "contract": ("test that fakes and real adapters behave alike", PARTS),
    "integration": ("test single parts of ours on the real ones", PARTS),
    "images": ("test what is inside the images", PARTS),
    "snapshots": ("test what the TUI looks like", []),
    "e2e": ("test everything together on a real cluster", PARTS),
}


def task_tools():
    """find each tool on the PATH, or build it, once for this machine"""
    return {"actions": [room("images.tasks:tools")]}


def task_docker():
    """make sure that a Docker engine answers; on Debian, root gets one installed and started"""
    return {"actions": [room("images.tasks:docker")]}


def task_build():
    """build and validate the images base, provisioning and web, as far as something changed"""
    return {"actions": [room("images.tasks:build")], "task_dep": ["tools", "docker"]}


def task_deploy():
    """start or repair the cluster and the service that runs in it, and say how to open the TUI"""
    parts = {"consul": "a Consul", "openbao": "an OpenBao or Vault", "nomad": "a Nomad"}
    return {
        "actions": [room("jobs.tasks:deploy")],
        "task_dep": PARTS,
        "params": [
            {"name": f"{name}{suffix}", "long": f"{name}{suffix}".replace("_", "-"), "default": "", "help": help}
            for name, part in parts.items()
            for suffix, help in {
                "": f"address of {part} that runs already",
                "_token_file": "file with a token for it",
                "_ca_file": "CA of its certificate (PEM)",
            }.items()
        ],
    }


def task_status():
    """show what runs, where, in which version, and how healthy"""
    return {"actions": [room("jobs.tasks:status")]}


def task_undeploy():
    """remove everything that deploy made, mounts and processes included"""
    return {
        "actions": [room("jobs.tasks:undeploy")],
        "params": [
            _flag("destroy_environments", "destroy the environments that exist first"),
            _flag("force", "remove all even when nobody can say which environments exist"),
        ],
    }


def task_lint():
    """run every static check: ruff, formatting, types, imports"""
    return {"actions": [room("tests.suite:lint")]}


def task_test():
    """run the static checks and every test on the real parts"""
    return {"actions": [room("tests.suite:everything")], "task_dep": PARTS}


def task_test_kinds():
    """run one kind of tests"""
    for name, (doc, parts) in KINDS.items():
        yield {
            "basename": f"test:{name}",
            "doc": f"{doc}; arguments for pytest may follow `--`",
            "actions": [(room("tests.suite:kind"), [name])],
            "pos_arg": "pytest_arguments",
            "task_dep": parts,
        }


def task_test_crash():
    """kill the service at many random moments and look for what is left or doubled"""
    return {"basename": "test:crash", "actions": [room("tests.suite:crash")], "task_dep": PARTS}


def task_bench():
    """measure what we add to a plain script that makes the same calls, and the API with 1,000 environments"""
    return {
        "actions": [room("tests.bench.run:main")],
        "params": [{"name": "pairs", "long": "pairs", "type": int, "default": 30}],
        "task_dep": PARTS,
    }


def task_lock():
    """resolve the dependencies anew and write both locks; --upgrade takes newer versions"""
    return {
        "actions": [room("images.tasks:lock")],
        "params": [_flag("upgrade", "take newer versions")],
    }


def task_tidy():
    """show how much Go's caches and old builds take, and remove them if you agree"""
    return {"actions": [room("images.tasks:tidy")]}


def _flag(name, doc):
    return {"name": name, "long": name.replace("_", "-"), "type": bool, "default": False, "help": doc}
