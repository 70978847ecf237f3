"""The task graph and nothing but: names, dependencies, one line of help each. The packages say what the tasks do."""

from doit import task_params

from images.doit_records import RECORDS_FILE, NoRecords
from images.doit_reporter import SentenceReporter, lazy_action
from images.interrupts import handle_signals
from images.names import misnamed_folders
from images.parents import image_parents, images_on_request
from images.report import show_any_text

handle_signals()
show_any_text()

DOIT_CONFIG = {
    "default_tasks": ["status"],
    "reporter": SentenceReporter,
    "verbosity": 2,
    "par_type": "thread",
    "backend": "json",
    "codec_cls": NoRecords,
    "dep_file": RECORDS_FILE,
}

IMAGES = image_parents()
"""Every image, and which it starts from."""

ON_REQUEST = images_on_request()
"""Those that no deployment needs: they are built when they are asked for, and for tests."""

SHARED = {"capture": False}
"""Of tasks that run side by side: doit captures what tasks say by replacing a stream that all threads share."""

PARTS = ["tools", "docker", "build"]
"""What has to be there before anything real runs."""

MEASURED = ["providers", *PARTS, *(f"build:{image}" for image in ON_REQUEST)]
"""What benchmarks measure: every image and every provider."""

TESTED = ["forge", *MEASURED, "postgres", "browser", "assets"]
"""What has to be there before tests on the real backends run. `forge` builds all tools side by side, so it is first."""

KINDS = {
    "unit": ("test the rules and everything that needs nothing but the locked packages", []),
    "component": ("test what needs a database, threads, or the API in process", ["postgres", "browser", "assets"]),
    "contract": ("test that fakes and real adapters behave alike", TESTED),
    "integration": ("test single modules on the real backends", TESTED),
    "images": ("test what is inside the images", TESTED),
    "snapshots": ("compare the TUI's screens with their snapshots", []),
    "cases": ("create, update, observe and destroy an environment of each template of tests/cases", TESTED),
    "attack": ("attack a deployed service as its users, its neighbours and a hostile job would", TESTED),
    "fuzz": ("send anything to the API, and make anything of templates, for ten minutes", TESTED),
    "e2e": ("test everything together on a real cluster", TESTED),
}


def task_tools():
    """find each tool that a deployment needs on the PATH, or build it, once for this machine"""
    return {"actions": [lazy_action("images.tasks:tools")]}


def task_docker():
    """make sure that a Docker engine answers; on Debian, root gets one installed and started"""
    return {"actions": [lazy_action("images.tasks:docker")]}


def task_postgres():
    """make sure that PostgreSQL is here for tests; on Debian, root gets it installed"""
    return {"actions": [lazy_action("images.tasks:postgres")]}


def task_browser():
    """make sure that a browser is here for tests of pages; on Debian, root gets Chromium installed"""
    return {"actions": [lazy_action("images.tasks:browser")]}


def task_assets():
    """fetch the web page's files of npm packages, once for this machine; on Debian, root gets npm installed"""
    return {"actions": [lazy_action("images.tasks:assets")]}


def task_forge():
    """build Gitea, the forge of tests, once for this machine, and the tools beside it"""
    return {"actions": [lazy_action("images.tasks:forge")]}


def task_providers():
    """build the providers of OpenTofu that tests and benchmarks use, once for this machine"""
    return {"actions": [lazy_action("images.tasks:providers")]}


def task_build():
    """build and validate what deployments need, and other images once asked for, if they changed; -n: side by side"""
    always = [f"build:{image}" for image in IMAGES if image not in ON_REQUEST]
    return {"actions": [lazy_action("images.tasks:built")], "task_dep": always}


def task_build_image():
    """build and validate one image and those that it starts from, as far as something changed"""
    for image, parent in IMAGES.items():
        yield {
            "basename": f"build:{image}",
            "doc": f"build and validate the image {image}" + (f" and its parent {parent}" if parent else ""),
            "actions": [(lazy_action("images.tasks:build"), [image])],
            "task_dep": ["tools", "docker", "validate:recipes", *([f"build:{parent}"] if parent in IMAGES else [])],
            "params": [_flag("anew", "build it even if nothing changed")],
            "io": SHARED,
        }
    for folder in misnamed_folders():
        # doit takes what has a = for a variable.
        if folder.isascii() and folder.isprintable() and "=" not in folder:
            yield {
                "basename": f"build:{folder}",
                "doc": "fails: the folder has a name that no image can have",
                "actions": [(lazy_action("images.tasks:refuse"), [folder])],
            }


def task_validate_recipes():
    """check image.toml and recipes of images for faults before anything is built"""
    return {
        "basename": "validate:recipes",
        "actions": [lazy_action("images.tasks:recipes")],
        "task_dep": ["tools"],
        "io": SHARED,
    }


def task_validate():
    """validate an image again"""
    for image in IMAGES:
        yield {
            "basename": f"validate:{image}",
            "doc": f"validate the image {image} again, even if nothing changed",
            "actions": [(lazy_action("images.tasks:validate"), [image])],
            "task_dep": ["tools", "docker", "validate:recipes"],
            "io": SHARED,
        }


def task_promote():
    """move production to an image"""
    for image in IMAGES:
        yield {
            "basename": f"promote:{image}",
            "doc": f"move production to the newest validated build of {image}",
            "actions": [(lazy_action("images.tasks:promote"), [image])],
            "params": [
                {"name": "build", "long": "build", "default": "", "help": "this build and not the newest"},
                _flag("undo", "take the last promotion back"),
            ],
        }


def _flag(name, doc):
    return {"name": name, "long": name.replace("_", "-"), "type": bool, "default": False, "help": doc}


_EXISTING = {"consul": "a Consul", "openbao": "an OpenBao or Vault", "nomad": "a Nomad"}

DEPLOY_OPTIONS = [
    *(
        {"name": f"{name}{suffix}", "long": f"{name}{suffix}".replace("_", "-"), "default": "", "help": help}
        for name, part in _EXISTING.items()
        for suffix, help in {
            "": f"address of {part} that runs already",
            "_token_file": "file with a token for it",
            "_ca_file": "CA of its certificate (PEM)",
        }.items()
    ),
    {
        "name": "channel",
        "long": "channel",
        "default": "qa",
        "choices": [("qa", "what was proven last"), ("production", "what was promoted")],
        "help": "which images are deployed and published",
    },
    {
        "name": "database",
        "long": "database",
        "default": "",
        "choices": [("sqlite", "a file"), ("postgresql", "a server that workers share")],
        "help": "what the service keeps its data in; chosen once, at first sqlite",
    },
    {
        "name": "workers",
        "long": "workers",
        "type": int,
        "default": None,
        "help": "how many workers beside the one in the service, up to 10, with PostgreSQL; default: as it was",
    },
    {
        "name": "first_port",
        "long": "first-port",
        "type": int,
        "default": None,
        "help": "first of 100 ports for all that runs, beside another Calvinverse; chosen once, at first",
    },
    {
        "name": "web_page_port",
        "long": "web-page-port",
        "type": int,
        "default": None,
        "help": "port of the web page on loopback; default: as it was, at first 8401 or in the block",
    },
    {
        "name": "listen",
        "long": "listen",
        "default": "",
        "help": "where the edge listens, such as 0.0.0.0:8443 for other machines; default: as it was, at first "
        "127.0.0.1:8443",
    },
    {
        "name": "address",
        "long": "address",
        "default": "",
        "help": "host name that the edge answers for; default: as it was, at first calvinverse.localhost",
    },
    _flag("no_edge", "leave the edge out, or switch it off; it stays off"),
    _flag("local_authority", "let OpenBao's authority sign the edge's certificate again, as at first"),
    *(
        {"name": name, "long": name.replace("_", "-"), "default": "", "help": help}
        for name, help in {
            "edge_certificate": "file with a certificate of your own for the edge, and its chain (PEM)",
            "edge_key": "file with the key of that certificate (PEM)",
            "edge_ca": "CA of that certificate (PEM), if this machine doesn't trust it",
            "acme_directory": "URL of an ACME directory, from which the edge gets its certificates",
            "acme_email": "e-mail address for that authority",
            "acme_ca": "CA of the directory's own certificate (PEM)",
            "acme_account": "file with the id and the key of an account that exists there (EAB)",
            "entry_domain": "domain of environments' entry points at the edge, such as apps.example.org, or none; "
            "default: as it was, at first apps.localhost beside a name below localhost",
            "warnings": "file with the channels that deliver warnings (TOML), kept in OpenBao, or none; "
            "default: as it was, at first none",
            "identity_providers": "file with OpenID providers beside the built-in one (TOML), kept in OpenBao, or "
            "none; default: as it was, at first none",
        }.items()
    ),
]


@task_params(DEPLOY_OPTIONS)
def task_deploy(**options):
    """start or repair the cluster and the service that runs in it, and say how to open the TUI"""
    # Tools and images take minutes to build, and a port that somebody has ends the first deployment.
    yield {"basename": "_ports", "actions": [lazy_action("jobs.tasks:look_at_ports", options)]}
    yield {"basename": "deploy", "actions": [lazy_action("jobs.tasks:deploy")], "task_dep": ["_ports", *PARTS]}


def task_status():
    """show what runs, where, in which version, and how healthy"""
    return {"actions": [lazy_action("jobs.tasks:status")]}


def task_undeploy():
    """remove everything that deploy made, mounts and processes included"""
    return {
        "actions": [lazy_action("jobs.tasks:undeploy")],
        "params": [
            _flag("destroy_environments", "destroy the environments that exist first"),
            _flag("force", "remove all even when nobody can say which environments exist"),
        ],
    }


def task_lint():
    """run every static check: ruff, formatting, types, imports, dependencies"""
    return {"actions": [lazy_action("tests.suite:lint")]}


def task_test():
    """run the static checks and every test on the real backends"""
    return {"actions": [lazy_action("tests.suite:everything")], "task_dep": TESTED}


def task_test_kinds():
    """run one kind of tests"""
    for name, (doc, parts) in KINDS.items():
        yield {
            "basename": f"test:{name}",
            "doc": f"{doc}; arguments for pytest may follow `--`",
            "actions": [(lazy_action("tests.suite:kind"), [name])],
            "pos_arg": "pytest_arguments",
            "task_dep": parts,
        }


def task_test_quick():
    """run the static checks and the tests that need no real part: unit, component, snapshots"""
    return {
        "basename": "test:quick",
        "actions": [lazy_action("tests.suite:quick")],
        "task_dep": ["postgres", "browser", "assets"],
    }


def task_test_crash():
    """kill the service at many random moments and check that nothing is left or doubled"""
    return {"basename": "test:crash", "actions": [lazy_action("tests.suite:crash")], "task_dep": TESTED}


def task_test_interrupts():
    """interrupt deploy, undeploy and builds at random moments: the next run converges, and nothing is left"""
    return {"basename": "test:interrupts", "actions": [lazy_action("tests.suite:interrupts")], "task_dep": TESTED}


def task_test_kill_matrix():
    """kill the worker, and each backend, at every point of every step, and write the table of results"""
    return {"basename": "test:kill-matrix", "actions": [lazy_action("tests.suite:kill_matrix")], "task_dep": TESTED}


def task_test_decisions():
    """simulate a million decisions to destroy, with wrong clocks, restored databases and failing listings"""
    return {"basename": "test:decisions", "actions": [lazy_action("tests.suite:decisions")]}


def task_test_upgrade():
    """deploy an older commit, upgrade it in place on both databases, and see that nothing is lost or left"""
    return {
        "basename": "test:upgrade",
        "actions": [lazy_action("tests.upgrade.run:main")],
        "params": [
            {"name": "commit", "long": "from", "default": "", "help": "default: the last commit of the issue before"},
            {"name": "database", "long": "database", "default": "", "help": "only this one; default: both"},
        ],
        "task_dep": TESTED,
    }


def task_test_fresh():
    """clone the last commit in a Debian 12 without Go, compiler and Docker, and get every tool there from nothing"""
    return {
        "basename": "test:fresh",
        "actions": [lazy_action("tests.fresh.run:main")],
        "params": [
            {"name": "folder", "long": "folder", "default": "", "help": "folder to make it in; it takes some GiB"},
            _flag("keep", "leave it there afterwards"),
            _flag("shares", "keep what the builds took in the catalogue, for estimates"),
        ],
    }


def task_coverage():
    """measure which statements and branches the tests run, over all processes, and write the page of the docs"""
    return {
        "actions": [lazy_action("tests.coverage_page:main")],
        "params": [
            {"name": "kinds", "long": "kinds", "default": "", "help": "folders and files of tests, separated by commas"}
        ],
        "task_dep": TESTED,
    }


def task_bench():
    """measure what we add to a plain script that makes the same calls, and the API with 1,000 environments"""
    return {
        "actions": [lazy_action("tests.bench.run:main")],
        "params": [{"name": "pairs", "long": "pairs", "type": int, "default": 30}],
        "task_dep": PARTS,
    }


def task_bench_engine():
    """measure the engine: beside plain tofu, pick-up and take-over, several workers, up to 10,000 environments"""
    return {
        "basename": "bench:engine",
        "actions": [lazy_action("tests.bench.engine:main")],
        "task_dep": MEASURED,
        "params": [{"name": "pairs", "long": "pairs", "type": int, "default": 10}],
    }


def task_bench_clock():
    """measure the scheduler with 100,000 environments, and a storm of events with 1,000 triggers"""
    return {
        "basename": "bench:clock",
        "actions": [lazy_action("tests.bench.clock:main")],
        "params": [{"name": "only", "long": "only", "default": "", "help": "`events`; default: all"}],
    }


def task_bench_images():
    """measure what we add to plain `packer build` of the same recipes, and a run with nothing to do"""
    return {
        "basename": "bench:images",
        "actions": [lazy_action("tests.bench.images:main")],
        "params": [
            {"name": "pairs", "long": "pairs", "type": int, "default": 3},
            {"name": "parallel", "long": "parallel", "type": int, "default": 2, "help": "images made at a time"},
        ],
        "task_dep": MEASURED,
    }


def task_bench_ui():
    """measure the web page: its overview with 10,000 environments, its streams, its bytes"""
    return {
        "basename": "bench:ui",
        "actions": [lazy_action("tests.bench.ui:main")],
        "params": [{"name": "environments", "long": "environments", "type": int, "default": 10_000}],
        "task_dep": ["assets"],
    }


def task_bench_scale():
    """measure what one of each costs, check a load model with 1,000 and 10,000, and compute what breaks beyond"""
    return {
        "basename": "bench:scale",
        "actions": [lazy_action("tests.scale.main:main")],
        "params": [{"name": "environments", "long": "environments", "type": int, "default": 10_000}],
        "task_dep": ["postgres"],
    }


def task_bench_sizes():
    """measure what is in each image, by component"""
    return {"basename": "bench:sizes", "actions": [lazy_action("tests.bench.sizes:main")], "task_dep": MEASURED}


def task_dispatch():
    """build images in a build environment, follow the log, and fetch the records"""
    return {
        "actions": [lazy_action("jobs.tasks:dispatch")],
        "params": [
            {"name": "environment", "long": "environment", "default": "", "help": "which, if there are several"},
            {"name": "images", "long": "images", "default": "", "help": "names with commas between; default: all"},
            _flag("anew", "build them even if they exist"),
        ],
    }


def task_lock():
    """resolve the dependencies again and write all locks; --upgrade takes newer versions"""
    return {
        "actions": [lazy_action("project.lock:lock")],
        "params": [_flag("upgrade", "take newer versions")],
    }


def task_docs():
    """make a searchable site of docs/; a dead link or a page outside the navigation is an error"""
    return {"actions": [lazy_action("project.docs:docs")]}


def task_release():
    """build wheel and source distribution of the last commit, and prove each in an empty virtual environment"""
    return {"actions": [lazy_action("project.release:release")]}


def task_tidy():
    """show how much Go's caches and old builds take, and remove them if you agree"""
    return {"actions": [lazy_action("images.tasks:tidy")]}
