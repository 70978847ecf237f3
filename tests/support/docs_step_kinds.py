"""What the reference of step kinds says beside what the code says: when a step is done, unchanged and degraded."""

WORDS = """\
A step is **done** when it has made what its options say, and that works. An environment is **ready** when the steps
of its last deployment are done. A step with `on_failure = "continue"` that fails is skipped, and the deployment says
so.

A step of a plan is **unchanged** when everything that its options say exists as wanted. Applying such a plan writes
nothing, registers nothing, runs nothing again, and adds no log line. The plan compares what is wanted with what
exists: a restart or an upgrade of the service, or another token for Nomad, changes nothing.

**Degraded** is a flag of a ready environment: something of it worked when it became ready, and is failing. Each reason
says what fails, in which step, and since when. `calvinverse env list`, `env show`, the terminal UI and events show it
within seconds, because the service follows Nomad's events and Consul's checks. The flag is cleared
when everything works again, or when a deployment of the environment starts. The service repairs nothing automatically;
Nomad restarts tasks as their job file says. The flag covers only jobs and their checks. `calvinverse env drift
--observe` observes all steps ([drift](../how-to/drift.md))."""

JOB_TYPES = (
    (
        "`service`",
        "Each group runs as many instances as its `count`: every task does what its `lifecycle` says (below), "
        "all checks of its services pass, and Nomad calls the instance healthy, after the `min_healthy_time` of "
        "its `update` block. With `count = 0` the step waits for nothing, and `address`, `port` and `url` of its "
        "services are null",
        "the job that Nomad has is the one that the file and the variables give",
        "fewer instances run than wanted, or a check is critical, for 5 s; a task failed by itself less than 20 s ago; "
        "a canary failed for good while it waits for promotion; the job was stopped or removed",
    ),
    (
        "`system`",
        "One instance of each group is as for `service` on every node that fits",
        "as for `service`",
        "no instance runs on a node where one should, for 5 s; otherwise as for `service`",
    ),
    (
        "`batch`",
        "All instances have run to completion with exit code 0. Then the job is done for this environment and these "
        "inputs: options and job file. It stays done after Nomad has forgotten the job, which happens after some hours",
        "it is done with these inputs, whether or not Nomad still knows the job. `calvinverse env update NAME "
        "--run-again STEP` runs it again; so do other inputs, also those of an earlier deployment",
        "a run that somebody has started again in Nomad fails for good. A job that has ended is not degraded",
    ),
    ("`sysbatch`", "as for `batch`, on every node that fits", "as for `batch`", "as for `batch`"),
    (
        "`periodic`",
        "Nomad has registered the job. Nothing is waited for: the schedule starts it",
        "the registered job is the same. Its runs don't count",
        "its newest run failed for good, until another one begins, even if Nomad forgets the run; "
        "the job was stopped or removed",
    ),
    (
        "`parameterized`",
        "Nomad has registered the job. Nothing is waited for: a dispatch starts it",
        "the registered job is the same. Its runs don't count",
        "its newest run failed for good, until another one begins, even if Nomad forgets the run; "
        "the job was stopped or removed",
    ),
)
"""Type, when it is done, when it is unchanged, when it degrades its environment."""

CANARIES = """\
**Canaries.** With `canary` in the `update` block Nomad first starts that many instances of a new version beside the
old ones. When they are healthy they are promoted, with or without `auto_promote`: the step is done when the new
version has taken the place of the old one, and outputs name the addresses of the new one. With `promotion = "manual"`
at the step the step is done when the canaries are healthy. The environment is ready with the flag *awaiting
promotion*; outputs name the addresses of the version before, and `last good` stays the deployment before.
`calvinverse env promote NAME` promotes; another update replaces the canaries; `env rollback` removes them. A job that
is made for the first time has no canaries. While canaries wait, a plan with the same inputs is unchanged."""

LIFECYCLE = (
    ("no `lifecycle`", "runs; in a `batch` or `sysbatch` job it has ended with exit code 0"),
    ("`prestart`", "has ended with exit code 0, before the main tasks start"),
    ("`poststart`", "has ended with exit code 0, after the main tasks have started"),
    (
        "`prestart` or `poststart` with `sidecar = true`",
        "runs; in a `batch` or `sysbatch` job it doesn't count, for Nomad stops it when the main tasks have ended",
    ),
    (
        "`poststop`",
        "doesn't count while the instance runs; in a `batch` or `sysbatch` job it has ended with exit code 0. A "
        "destroy waits until it has ended, logs that, and kills it after 2 minutes, or after its `kill_timeout` if "
        "that is longer. In a group with `consul` or `vault` Nomad takes a minute to start it, each time: if the "
        "`interval` of the `restart` block is that short, Nomad starts it again however often it is killed",
    ),
)
"""Task, and what it does when its instance counts as running."""

KINDS = {
    "agent.local": (
        "the agent answers, configured as the options say; with `address`, the existing agent accepts the token",
        "it runs with the same settings",
        "never: `doit status` shows it",
    ),
    "check.http": (
        "every instance of the service answers as wanted",
        "never: a check makes nothing, and runs with each deployment",
        "never; checks of the service in Consul count with its job",
    ),
    "cluster.trust": (
        "all policies, roles and keys of the cluster exist as wanted; otherwise it fails and names what is missing",
        "nothing is missing",
        "never",
    ),
    "consul.kv": (
        "all keys have their values",
        "all keys have their values, and the folder bears the environment's mark",
        "never",
    ),
    "edge.entrypoint": (
        "every edge serves the routes of the services for everybody, with a certificate",
        "the PKI role is as the options say, and the same services are published",
        "never: while no instance of a service is healthy, its job degrades the environment",
    ),
    "nomad.job": (
        "by the type of the job, above",
        "by the type of the job, above",
        "by the type of the job, above",
    ),
    "opentofu.module": (
        "the module is applied, and its state is stored",
        "OpenTofu's plan, which asks its providers, changes no resource and no output that the step gives",
        "never",
    ),
    "vault.certificate": (
        "the PKI role exists. Jobs get their certificates from it when they start",
        "the role is as the options say. Certificates that jobs get don't count",
        "never, but a job that gets no certificate doesn't run",
    ),
    "vault.secret": (
        "the secret has all keys",
        "given values are the same, and generated values exist. Secret parameters that a request doesn't give "
        "stay as they are",
        "never",
    ),
}
"""Kind → when a step of it is done, unchanged, and degrades its environment."""
