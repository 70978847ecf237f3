"""A value is data at every level: neither a job file nor Nomad makes it code."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from environments.domain.errors import InvalidJob
from environments.providers.nomad import marked_values as marking
from environments.providers.nomad import values as nomad_values
from environments.providers.nomad.fields import DOLLAR
from environments.providers.nomad.go_template import Place, places
from environments.providers.nomad.marked_values import reserved, texts
from tests.fakes.nomad_at_run_time import PIECES, SECRETS, configured, environment, one_task, parser, replaced

hostile = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
nested = st.recursive(
    hostile | st.integers(-5, 10**12) | st.booleans() | st.none(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(hostile, inside, max_size=3),
    max_leaves=6,
)


def read(build: Callable[[dict[str, Any]], Any], file: str = "", **variables: Any) -> Any:
    return nomad_values.read(parser(build), file, variables)


def task(job: Any) -> Any:
    return job["TaskGroups"][0]["Tasks"][0]


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- what is typed is what runs ---


@settings(deadline=None)
@given(hostile)
@example("{}")
@example("[]")
@example("[{}]")
@example('{"a": {}}')
@example('""')
@example('"{}"')
@example("e30=")
@example("")
def test_an_environment_variable_is_what_was_typed(typed: str) -> None:
    job = read(lambda v: one_task(Env={"A": v["x"], "B": f"port ${{NOMAD_PORT_http}} {v['x']} end"}), x=typed)
    assert environment(job) == {"A": typed, "B": f"port 8080 {typed} end"}


@settings(deadline=None)
@given(hostile)
@example("{}")
@example("[]")
@example("[[]]")
@example('"[]"')
@example("W10=")
def test_an_argument_is_what_was_typed(typed: str) -> None:
    job = read(lambda v: one_task(Config={"args": [v["x"], f"${{NOMAD_PORT_http}}: {v['x']}."]}), x=typed)
    assert [configured(found) for found in task(job)["Config"]["args"]] == [typed, f"8080: {typed}."]


@settings(deadline=None)
@given(nested)
def test_values_of_each_type_and_depth_are_what_was_typed(typed: Any) -> None:
    def build(v: dict[str, Any]) -> Any:
        return one_task(Env={"JSON": json.dumps(v["x"], ensure_ascii=False, sort_keys=True)})

    try:
        job = read(build, x=typed)
    except InvalidJob:
        # Only the order of keys can be in doubt.
        assert "${" in json.dumps(typed)
        assert "{" in json.dumps(typed).replace("${", "")
    else:
        assert json.loads(environment(job)["JSON"]) == typed


@pytest.mark.parametrize("collection", [{}, [], [{}], {"xy": []}, ["{}"], {"{}": "[]"}, [[[{"xy": {}}]]], [[[[1]]]]])
def test_the_authors_names_stand_beside_collections_without_characters(collection: Any) -> None:
    def build(v: dict[str, Any]) -> Any:
        return one_task(Env={"A": f"${{NOMAD_PORT_http}} {json.dumps(v['x'], ensure_ascii=False)}"})

    # The name does not stand in the job file.
    assert environment(read(build, x=collection)) == {"A": f"8080 {json.dumps(collection)}"}
    held = json.dumps(collection)
    assert environment(read(lambda v: build({"x": json.loads(v["x"])}), x=held)) == {"A": f"8080 {held}"}


@pytest.mark.parametrize("empty", ["{}", "[]"])
def test_the_size_of_an_empty_collection_makes_no_code(empty: str) -> None:
    def build(v: dict[str, Any]) -> Any:
        return one_task(Env={"A": chr(36 + len(json.loads(v["x"]))) + "{VAULT_TOKEN}"})

    with pytest.raises(InvalidJob, match="'x'"):
        read(build, x=empty)


@settings(deadline=None)
@given(st.lists(hostile, max_size=4), st.dictionaries(hostile, hostile, max_size=3))
def test_pieces_of_lists_and_objects_are_what_was_typed(items: list[str], table: dict[str, str]) -> None:
    def build(v: dict[str, Any]) -> Any:
        pairs = [f"{key}={item}" for key, item in v["table"].items()]
        return one_task(Env={"LIST": ",".join(v["items"]), "TABLE": ";".join(pairs)}, Config={"args": v["items"]})

    job = read(build, items=items, table=table)
    assert environment(job)["LIST"] == ",".join(items)
    assert environment(job)["TABLE"] == ";".join(f"{key}={item}" for key, item in table.items())
    assert [configured(found) for found in task(job)["Config"]["args"]] == items


@settings(deadline=None)
@given(hostile)
def test_a_text_elsewhere_is_what_was_typed_or_is_refused(typed: str) -> None:
    def build(v: dict[str, Any]) -> Any:
        job = one_task(Services=[{"Name": "a", "Tags": [v["x"]], "Meta": {"k": v["x"]}}])
        return {**job, "Meta": {"k": v["x"]}}

    try:
        job = read(build, x=typed)
    except InvalidJob:
        assert "${" in typed
    else:
        for found in (job["Meta"]["k"], task(job)["Services"][0]["Tags"][0], task(job)["Services"][0]["Meta"]["k"]):
            assert replaced(found, SECRETS) == typed


FUNCTIONS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "as it is": (lambda typed: typed, lambda x: x),
    "split and join": (lambda typed: typed, lambda x: " ".join(x.split(","))),
    "lower": (lambda typed: typed, str.lower),
    "upper": (lambda typed: typed, str.upper),
    "reverse": (lambda typed: typed, lambda x: x[::-1]),
    "trimspace": (lambda typed: typed, str.strip),
    "substr": (lambda typed: typed, lambda x: x[1:]),
    "replace a word": (lambda typed: typed, lambda x: x.replace("ab", "")),
    "replace by a brace": (lambda typed: typed, lambda x: x.replace("a", "{").replace("b", "$").replace("9", "}")),
    "jsondecode": (lambda typed: json.dumps([typed, {typed: typed}]), lambda x: json.loads(x)[0]),
    "jsondecode keys": (lambda typed: json.dumps({typed: "a", "k": typed}), lambda x: "".join(json.loads(x))),
    "jsondecode an attribute": (lambda typed: json.dumps({"host": typed}), lambda x: json.loads(x)["host"]),
    "jsonencode": (lambda typed: typed, lambda x: json.dumps([x])),
    "base64decode": (
        lambda typed: base64.b64encode(typed.encode()).decode(),
        lambda x: base64.b64decode(x, validate=True).decode(),
    ),
    "base64encode": (lambda typed: typed, lambda x: base64.b64encode(x.encode()).decode()),
    "base64decode and try": (
        lambda typed: base64.b64encode(typed.encode()).decode(),
        lambda x: _decoded(x) or "none",
    ),
    "base64decode twice": (
        lambda typed: base64.b64encode(base64.b64encode(typed.encode())).decode(),
        lambda x: base64.b64decode(base64.b64decode(x, validate=True), validate=True).decode(),
    ),
    "urldecode": (lambda typed: typed, lambda x: re.sub("%([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), x)),
    "join of pieces": (lambda typed: list(typed), "".join),
    "keys": (lambda typed: {typed: 1}, lambda x: "".join(x)),
    "sort": (lambda typed: list(typed), lambda x: "".join(sorted(x))),
}


def _decoded(x: str) -> str:
    try:
        return base64.b64decode(x, validate=True).decode()
    except ValueError:
        return ""


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(deadline=None)
@given(typed=hostile)
@example(typed="ba")
@example(typed="bba")
@example(typed="end9")
@example(typed="AA99")
def test_no_function_makes_a_value_code(function: str, typed: str) -> None:
    give, change = FUNCTIONS[function]
    value = give(typed)
    try:
        wanted = change(value)
    except (ValueError, LookupError):
        return

    def build(v: dict[str, Any]) -> Any:
        found = change(v["x"])
        return one_task(
            Env={"A": found, "OWN": "${NOMAD_PORT_http}"}, Config={"args": [f"${{NOMAD_PORT_http}} {found}"]}
        )

    try:
        job = read(build, f'OWN = "${{NOMAD_PORT_http}}" # {function}', x=value)
    except InvalidJob:
        assert any(re.search(r"[$%{}\"'`\\]", found) for found in [*texts(value), wanted])
    else:
        assert environment(job) == {"A": wanted, "OWN": "8080"}
        assert configured(task(job)["Config"]["args"][0]) == f"8080 {wanted}"


@pytest.mark.parametrize("function", ["as it is", "split and join", "lower", "upper", "reverse", "jsondecode", "sort"])
def test_functions_on_hostile_values_still_give_what_was_typed(function: str) -> None:
    give, change = FUNCTIONS[function]
    job = read(lambda v: one_task(Env={"A": change(v["x"])}), x=give("a ${VAULT_TOKEN} %{x}"))
    assert environment(job)["A"] == change(give("a ${VAULT_TOKEN} %{x}"))


# --- values that decide ---


SIZES = {"small": 1, "large": 3}


def sized(v: dict[str, Any]) -> Any:
    port = "${NOMAD_PORT_http}" if v["size"] == "large" else "none"
    job = one_task(Env={"PORT": port, "SIZE": v["size"], "BRANCH": v["branch"]}, KillTimeout=float(v["limit"]))
    job["TaskGroups"][0]["Count"] = SIZES[v["size"]]
    return job


def test_values_that_decide_hide_nothing_of_others() -> None:
    file = 'PORT = var.size == "large" ? "${NOMAD_PORT_http}" : "none"'
    for size, port in (("large", "8080"), ("small", "none")):
        job = read(sized, file, size=size, limit="10", branch="${VAULT_TOKEN}")
        assert environment(job) == {"PORT": port, "SIZE": size, "BRANCH": "${VAULT_TOKEN}"}
        assert job["TaskGroups"][0]["Count"] == SIZES[size]


def test_what_nomad_rejects_is_told_as_nomad_tells_it() -> None:
    with pytest.raises(InvalidJob, match="Nomad rejects the job: 'huge'"):
        read(sized, size="huge", limit="10", branch="x")


def test_a_value_that_decides_with_active_characters_is_refused() -> None:
    def lines(v: dict[str, Any]) -> Any:
        name, quoted = v["x"].split(": ")
        assert quoted[0] == quoted[-1] == '"', "a ValueError of YAML"
        return one_task(Env={name: quoted[1:-1].replace("\\x24", "$")})

    def build(v: dict[str, Any]) -> Any:
        try:
            return lines(v)
        except AssertionError as error:
            raise ValueError(str(error)) from error

    with pytest.raises(InvalidJob, match="'x' decides the structure of the job") as caught:
        read(build, x='k: "\\x24{VAULT_TOKEN}"')
    assert "decode" in (caught.value.hint or "")


def test_one_value_does_not_choose_another_as_code() -> None:
    def build(v: dict[str, Any]) -> Any:
        return one_task(Env={"A": v["text"] if v["which"].strip("{}") == "it" else "none", "P": "${NOMAD_PORT_http}"})

    file = 'P = "${NOMAD_PORT_http}"'
    job = read(build, file, which="it", text="${NOMAD_PORT_http}")
    assert environment(job) == {"A": "${NOMAD_PORT_http}", "P": "8080"}
    with pytest.raises(InvalidJob, match="'which'"):
        read(build, file, which="{it}", text="${NOMAD_PORT_http}")


# --- what is made of numbers, lengths and choices ---


CODE = "${VAULT_TOKEN}"
ALPHABET = "$ {}_VAULTOKEN"
MADE: dict[str, tuple[Any, Callable[[Any], str]]] = {
    "numbers": ([*map(ord, CODE)], lambda x: "".join(map(chr, x))),
    "numbers in JSON": (json.dumps([*map(ord, CODE)]), lambda x: "".join(map(chr, json.loads(x)))),
    "numbers in a text": (",".join(map(str, map(ord, CODE))), lambda x: "".join(chr(int(n)) for n in x.split(","))),
    "hexadecimal digits": ([f"{ord(sign):02x}" for sign in CODE], lambda x: "".join(chr(int(n, 16)) for n in x)),
    "one number": (36, lambda x: chr(x) + "{VAULT_TOKEN}"),
    "a number of an alphabet": ([*map(ALPHABET.index, CODE)], lambda x: "".join(ALPHABET[n] for n in x)),
    "names of an alphabet": (
        [f"sign{ALPHABET.index(sign)}" for sign in CODE],
        lambda x: "".join({f"sign{n}": sign for n, sign in enumerate(ALPHABET)}[name] for name in x),
    ),
    "bits": (
        [[bool(ord(sign) >> bit & 1) for bit in range(7)] for sign in CODE],
        lambda x: "".join(chr(sum(bit << at for at, bit in enumerate(bits))) for bits in x),
    ),
    "a bit": (True, lambda x: ("$" if x else "#") + "{VAULT_TOKEN}"),
    "a threshold": (7, lambda x: ("$" if x > 5 else "#") + "{VAULT_TOKEN}"),
    "lengths of texts": (["x" * ord(sign) for sign in CODE], lambda x: "".join(chr(len(item)) for item in x)),
    "lengths of lists": ([[1] * ord(sign) for sign in CODE], lambda x: "".join(chr(len(item)) for item in x)),
    "numbers of keys": ({f"k{n}": 1 for n in range(36)}, lambda x: chr(len(x)) + "{VAULT_TOKEN}"),
    "what isn't there": ([None, 1], lambda x: ("$" if x[0] is None else "#") + "{VAULT_TOKEN}"),
}


@pytest.mark.parametrize("made", MADE)
def test_nothing_makes_code_that_the_author_did_not_write(made: str) -> None:
    value, change = MADE[made]
    assert change(value) == CODE
    for build in (
        lambda v: one_task(Env={"A": change(v["x"])}),
        lambda v: one_task(Config={"args": ["a", f"b {change(v['x'])}"]}),
        lambda v: one_task(Services=[{"Name": "a", "Tags": [change(v["x"])]}]),
        templated(lambda v: "a: " + change(v["x"]).replace("${", "{{").replace("}", " }}"), LeftDelim="{{"),
        lambda v: one_task(Config={"logging": [{"config": [{"tag": change(v["x"]).replace("${", "{{")}]}]}),
    ):
        with pytest.raises(InvalidJob, match="'x'"):
            read(build, x=value)
        with pytest.raises(InvalidJob, match="'x'"):
            read(build, x=value, other="text")


def test_numbers_make_no_delimiter_and_no_line_of_an_environment_file() -> None:
    with pytest.raises(InvalidJob, match="LeftDelim can't come from a value"):
        read(lambda v: one_task(Templates=[{"EmbeddedTmpl": "a", "LeftDelim": chr(v["x"]) * 2}]), x=91)
    for code in (10, 35, 39, 34, 92):
        build = templated(lambda v: f"A=1{chr(v['x'])}LD_PRELOAD=x\n", Envvars=True)
        with pytest.raises(InvalidJob, match="'x' would become code"):
            read(build, "A=1", x=code)
        quoted = templated(lambda v: f'A={{{{ "a {chr(v["x"])}b" }}}}\n', Envvars=True)
        with pytest.raises(InvalidJob, match="'x' would become code"):
            read(quoted, "A=", x=code)


def test_what_the_author_wrote_may_depend_on_numbers() -> None:
    def build(v: dict[str, Any]) -> Any:
        port = "${NOMAD_PORT_https}" if v["tls"] else "${NOMAD_PORT_http}"
        data = f"""A={v["n"]}\nPORT_{v["n"]}='1'\nB={{{{ key "a/{v["n"]}" | toJSON }}}}\n"""
        data += "".join(f"REPLICA_{n}={v['name']}\n" for n in range(v["n"]))
        return one_task(
            Env={"N": f"{v['n']} of ${{NOMAD_ALLOC_INDEX}}", "P": port},
            Config={"args": [f"--port={port}", str(v["n"])]},
            Templates=[{"EmbeddedTmpl": data, "Envvars": True}],
        )

    file = """tls ? "${NOMAD_PORT_https}" : "${NOMAD_PORT_http}" ${NOMAD_ALLOC_INDEX}
    A=${var.n}
    PORT_${var.n}='1'
    B={{ key "a/${var.n}" | toJSON }}
    REPLICA_${n}=${var.name}
    """
    for tls in (True, False):
        job = read(build, file, tls=tls, n=3, name="alpha")
        assert task(job)["Env"] == {"N": "3 of ${NOMAD_ALLOC_INDEX}", "P": f"${{NOMAD_PORT_http{'s' if tls else ''}}}"}


BEGINNINGS: dict[str, Callable[[str], Any]] = {
    "an argument": lambda found: one_task(Config={"args": [f"${{NOMAD_PORT_http}} {found}"]}),
    "an environment variable": lambda found: one_task(Env={"A": f"${{NOMAD_PORT_http}} {found}"}),
    "a tag": lambda found: one_task(Services=[{"Name": "a", "Tags": [f"${{NOMAD_PORT_http}} {found}"]}]),
    "a template": lambda found: one_task(Templates=[{"EmbeddedTmpl": f'{{{{ env "A" }}}} {found}'}]),
    "a template after an action": lambda found: one_task(Templates=[{"EmbeddedTmpl": f'{{{{ env "A" }}}}{found}'}]),
    "a tag of Docker": lambda found: one_task(Config={"logging": [{"config": [{"tag": f"{{{{.ID}}}} {found}"}]}]}),
}


@pytest.mark.parametrize("place", BEGINNINGS)
@pytest.mark.parametrize("how", ["replace", "numbers"])
def test_the_beginning_of_the_authors_code_is_not_the_authors(place: str, how: str) -> None:
    file = 'replace "${NOMAD_PORT_http} " "{{ env "A" }} " "{{ env "A" }}" "{{.ID}} "'
    begin = "{{" if "template" in place or "Docker" in place else "${"
    values: dict[str, tuple[Any, Callable[[Any], str]]] = {
        "replace": (
            begin.replace("$", "b").replace("{", "a"),
            lambda x: x.replace("b", "$").replace("a", "{"),
        ),
        "numbers": ([*map(ord, begin)], lambda x: "".join(map(chr, x))),
    }
    value, change = values[how]
    with pytest.raises(InvalidJob, match="doesn't stand in the job file"):
        read(lambda v: BEGINNINGS[place](change(v["x"])), file, x=value)


@pytest.mark.parametrize("place", BEGINNINGS)
def test_a_beginning_that_no_value_makes_is_the_authors(place: str) -> None:
    begin = "{{" if "template" in place or "Docker" in place else "${"
    job = BEGINNINGS[place](begin)
    job["Priority"] = 50
    assert read(lambda v: {**job, "Priority": v["n"]}, "", n=50) == job


def test_what_comes_out_whatever_the_values_are_is_the_authors() -> None:
    def build(v: dict[str, Any]) -> Any:
        made = '{{ with secret "a/%s" }}{{ end }}' % v["name"]  # noqa: UP031
        return one_task(
            Env={"A": "".join(["$", "{NOMAD_ALLOC_INDEX}"])},
            Config={"args": [f"{v['n']}"]},
            Templates=[{"EmbeddedTmpl": f"{v['n']} {made}", "Envvars": False}],
        )

    assert read(build, "", n=3, name="alpha", flags=[True, False])


# --- what the author composes ---


@pytest.mark.parametrize("value", ["VAULT_TOKEN", "attr.kernel.name", "x"])
def test_no_value_names_a_variable_of_nomad(value: str) -> None:
    for build in (
        lambda v: one_task(Env={"A": f"${{{v['x']}}}"}),
        lambda v: one_task(Config={"args": [f"${{{v['x']}}}"]}),
        lambda v: one_task(Config={"args": [f'${{upper("{v["x"]}")}}']}),
        lambda v: one_task(Constraints=[{"LTarget": f"${{attr.{v['x']}}}"}]),
        lambda v: one_task(Env={"A": "$" + v["x"] + "}"}, Meta={"A": "${" + v["x"]}),
    ):
        with pytest.raises(InvalidJob, match="'x'"):
            read(build, x=value)


@pytest.mark.parametrize("pieces", [("$", "{VAULT_TOKEN}"), ("${", "VAULT_TOKEN", "}"), ("$", "{", "VAULT_TOKEN}")])
def test_pieces_of_several_values_make_no_code(pieces: tuple[str, ...]) -> None:
    variables = {f"x{number}": piece for number, piece in enumerate(pieces)}
    joined = "".join(pieces)
    job = read(lambda v: one_task(Env={"A": "".join(v.values())}, Config={"args": ["".join(v.values())]}), **variables)
    assert environment(job)["A"] == joined
    assert configured(task(job)["Config"]["args"][0]) == joined
    with pytest.raises(InvalidJob):
        read(lambda v: one_task(Meta={"A": "".join(v.values())}), **variables)


def test_only_a_job_that_needs_it_has_the_dollar_sign() -> None:
    assert "Meta" not in read(lambda v: one_task(Env={"A": v["x"], "B": "${NOMAD_PORT_http}"}), x="$5 {")
    job = read(lambda v: one_task(Env={"A": v["x"]}), x="${VAULT_TOKEN}")
    assert job["Meta"] == {DOLLAR: "$"}


def test_keys_of_a_job_are_no_code() -> None:
    job = read(lambda v: one_task(Env=v["x"]), x={"a b": "${VAULT_TOKEN}"})
    assert environment(job) == {"a b": "${VAULT_TOKEN}"}
    with pytest.raises(InvalidJob, match="a name"):
        read(lambda v: one_task(Meta=v["x"]), x={"${VAULT_TOKEN}": "x"})
    with pytest.raises(InvalidJob, match="a name"):
        read(lambda v: one_task(Config={"labels": [v["x"]]}), x={"%{ if true }": "x"})


def test_a_value_nested_without_end_is_refused() -> None:
    value: Any = "x"
    for _ in range(5000):
        value = [value]
    with pytest.raises(InvalidJob, match="nested too deeply"):
        read(lambda v: one_task(Env={"A": "a"}), x=value)


def test_values_have_a_limit_of_size() -> None:
    with pytest.raises(InvalidJob, match="the limit is 262144"):
        read(lambda v: one_task(Env={"A": "a"}), x=["x" * 200_000, {"k": "y" * 70_000}])


@pytest.mark.parametrize("begin", ["", '"', '["', '{"a": "'])
def test_what_is_no_json_is_not_searched_for_texts(monkeypatch: pytest.MonkeyPatch, begin: str) -> None:
    """The search begins anew at each quote of a text without an end: its time would grow with the square of that."""
    searched: list[str] = []

    class Counting:
        def finditer(self, text: str) -> list[Any]:
            searched.append(text)
            return []

        def sub(self, change: object, text: str) -> str:
            searched.append(text)
            return text

    monkeypatch.setattr(marking, "_JSON_TEXT", Counting())
    hostile = {"p": begin + '\\"' * 16_000}
    found = marking.Marking(hostile)
    assert [marked.whole for marked in found.tracked(hostile)]
    assert found.partly(hostile).kept
    assert searched == []


def test_a_file_with_characters_like_marks_is_refused() -> None:
    assert reserved("\U00010400")
    with pytest.raises(InvalidJob, match="private use"):
        read(lambda v: one_task(Env={"A": v["x"]}), "\U000f0000", x="a")


# --- templates ---


def templated(data: Callable[[dict[str, Any]], str], **fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda v: one_task(
        Templates=[{"DestPath": "local/a", "EmbeddedTmpl": data(v), "LeftDelim": "", "RightDelim": "", **fields}]
    )


@settings(deadline=None)
@given(nested)
def test_a_value_in_a_template_is_its_text_or_refused(typed: Any) -> None:
    build = templated(lambda v: f'it is {json.dumps(v["x"], ensure_ascii=False)} {{{{ env "A" }}}}')
    try:
        job = read(build, x=typed)
    except InvalidJob:
        assert any(texts(typed))
    else:
        data = task(job)["Templates"][0]["EmbeddedTmpl"]
        assert data == f'it is {json.dumps(typed, ensure_ascii=False)} {{{{ env "A" }}}}'
        # Nothing but the author's own action is code.
        assert [place is Place.TEXT for place in places(data)].index(False) == len(data) - len('{{ env "A" }}')


@pytest.mark.parametrize("typed", ["{{ env `X` }}", "}} {{", '" | plugin "x', "`", "a\nb", "{", "\\", "\x1b"])
@pytest.mark.parametrize("shape", ["text", "list", "object", "key", "json", "base64", "upper"])
def test_a_text_that_could_change_a_template_never_stands_in_one(typed: str, shape: str) -> None:
    shapes: dict[str, tuple[Any, Callable[[Any], str]]] = {
        "text": (typed, lambda x: x),
        "list": ([typed], lambda x: ",".join(x)),
        "object": ({"a": [typed]}, lambda x: x["a"][0]),
        "key": ({typed: 1}, lambda x: next(iter(x))),
        "json": (json.dumps([typed]), lambda x: ",".join(json.loads(x))),
        "base64": (
            base64.b64encode(f"-----{typed}".encode()).decode(),
            lambda x: base64.b64decode(x, validate=True).decode(),
        ),
        "upper": (typed + "ß", str.upper),
    }
    value, use = shapes[shape]
    with pytest.raises(InvalidJob, match=r"(could change the template|decides the structure of the job)"):
        read(templated(lambda v: f"it is {use(v['x'])}"), x=value)


@pytest.mark.parametrize(
    ("left", "right", "typed"),
    [("[[", "]]", "[[ env 'X' ]]"), ("<%", "%>", "<% key 'x' %>"), ("begin", "stop", "begin env stop")],
)
def test_other_delimiters_protect_as_well(left: str, right: str, typed: str) -> None:
    with pytest.raises(InvalidJob, match="could change the template"):
        read(templated(lambda v: f"it is {v['x']}", LeftDelim=left, RightDelim=right), x=typed)


def test_delimiters_never_come_from_a_value() -> None:
    with pytest.raises(InvalidJob, match=r"LeftDelim can't come from a value"):
        read(lambda v: one_task(Templates=[{"EmbeddedTmpl": "a", "LeftDelim": v["x"]}]), x="{{")


def test_a_plain_word_stands_in_quoted_text_but_not_in_code() -> None:
    job = read(templated(lambda v: f'{{{{ with secret "a/{v["x"]}/b" }}}}{{{{ .Data }}}}{{{{ end }}}}'), x="alpha")
    assert "a/alpha/b" in task(job)["Templates"][0]["EmbeddedTmpl"]
    for data in ("{{{{ {} }}}}", "{{{{/* {} */}}}}", "{{{{ env {} }}}}", "{{{{ if true -{}}}}}"):
        with pytest.raises(InvalidJob, match="in the code of the template"):
            read(templated(lambda v, data=data: data.format(v["x"])), x="env")  # type: ignore[misc]


def test_a_word_that_decides_is_not_code_either() -> None:
    def build(v: dict[str, Any]) -> Any:
        job = templated(lambda v: f'{{{{ {v["x"]} "A" }}}} {{{{ env "B" }}}}')(v)
        return {**job, "Priority": {"env": 1, "key": 2}[v["x"]]}

    with pytest.raises(InvalidJob, match="doesn't stand in the job file"):
        read(build, 'data = "{{ ${var.x} \\"A\\" }} {{ env \\"B\\" }}"', x="key")


@pytest.mark.parametrize("typed", ["a'b", "a#b", "a\nLD_PRELOAD=x"])
def test_a_value_adds_no_line_to_an_environment_file(typed: str) -> None:
    with pytest.raises(InvalidJob, match="could change the template"):
        read(templated(lambda v: f"A={v['x']}\n", Envvars=True), x=typed)


def test_a_value_names_no_variable_of_an_environment_file() -> None:
    assert read(templated(lambda v: f"A={v['x']}\nB={v['x']}", Envvars=True), x="b=c")
    for data in ("{}=b", "A=b\n{}\n", "\n {}"):
        with pytest.raises(InvalidJob, match="could name an environment variable"):
            read(templated(lambda v, data=data: data.format(v["x"]), Envvars=True), x="PATH=x")  # type: ignore[misc]


@pytest.mark.parametrize("typed", ["x #z", "x 'z", " x", "x ", "#"])
def test_no_value_in_quoted_text_changes_a_line_of_an_environment_file(typed: str) -> None:
    for data in ('Q={{{{ "{}" }}}}\n', 'Q={{{{ printf "%s" "{}" }}}}', "Q={}\nR=1"):
        build = templated(lambda v, data=data: data.format(v["x"]), Envvars=True)  # type: ignore[misc]
        assert read(build, x="a b")
        with pytest.raises(InvalidJob, match="could change the template") as caught:
            read(build, x=typed)
        assert "toJSON" in (caught.value.hint or "")
        assert "any text" not in (caught.value.hint or "")


def test_no_value_in_quoted_text_names_a_variable_of_an_environment_file() -> None:
    for data in ('{{{{ "{}" }}}}=b', '{{{{ printf "%s" "{}" }}}}=b', 'A=b\n{{{{- "{}" }}}}=c'):
        with pytest.raises(InvalidJob, match="could name an environment variable"):
            read(templated(lambda v, data=data: data.format(v["x"]), Envvars=True), x="PATH")  # type: ignore[misc]
    path = '{{{{ with secret "secret/data/{}/key" }}}}KEY={{{{ .Data.data.key }}}}{{{{ end }}}}'
    assert read(templated(lambda v: path.format(v["x"]), Envvars=True), x="alpha")


def test_docker_gets_no_template_of_a_value() -> None:
    with pytest.raises(InvalidJob, match="Docker would act on"):
        read(lambda v: one_task(Config={"logging": [{"config": [{"tag": v["x"]}]}]}), x="{{.ID}}")
