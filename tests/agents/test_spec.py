"""Loading policies by what a user types, users' own files among them."""

import numpy as np
import pytest

from tdx_agents import load
from tdx_agents.protocol import Kind, Policy
from tdx_env.errors import BundleError, PolicyError
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_size
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import N_ACTIONS, Action
from tests.agents.conftest import features_of

PLAIN = """
def decide(features, mask):
    '''Kick after three tries.'''
    return {answer}
"""
COMPILED = """
from tdx_env.jit import decision

@decision
def decide(features):
    return {answer}
"""


def user_file(folder, text, **values):
    """Write a user's policy; return what `load` takes."""
    path = folder / "mine.py"
    path.write_text(text.format(**values) if values else text)
    return f"{path}:decide"


def actions_of(policy, *decisions):
    """Return a policy's actions at some decisions."""
    features = np.array(decisions)
    masks = features[:, [29]] >> np.arange(N_ACTIONS) & 1
    observations = np.zeros((len(features), observation_size()), np.float32)
    return policy.actions(observations, features, masks).tolist()


AUG = features_of(Leaf.MEM_PAGE_AUG, ISSUES=1)
LATE_AUG = features_of(Leaf.MEM_PAGE_AUG, ISSUES=5)
BLOCK = features_of(Leaf.MEM_RANGE_BLOCK)


@pytest.mark.parametrize("spec", ["P18", "p18", "p18-merged-6.16", "P18-MERGED-6.16"])
def test_catalogue_is_found_by_name_and_number(spec):
    assert load(spec).name == "p18-merged-6.16"


@pytest.mark.parametrize(
    ("spec", "near"),
    [
        ("P99", "P9, "),
        ("", "p1-blind-16, "),
        ("break-eve", "break-even, "),
        ("operant", "operand, "),
    ],
)
def test_unknown_policy_is_answered_with_the_nearest(spec, near):
    with pytest.raises(PolicyError, match=f"is unknown, must be one of: {near}.* others"):
        load(spec)


def test_folder_without_a_bundle_is_told(tmp_path):
    with pytest.raises(BundleError, match="bundle.json: is missing"):
        load(tmp_path)


@pytest.mark.parametrize("answer", ["1", "'KICK'", "'kick'", "Action.KICK", "np.int64(1)"])
def test_plain_function_may_answer_in_words_or_numbers(tmp_path, answer):
    head = "import numpy as np\nfrom tdx_env.state.discipline import Action\n"
    policy = load(user_file(tmp_path, head + PLAIN, answer=answer))
    assert policy.kind == Kind.PYTHON
    assert actions_of(policy, AUG, BLOCK) == [1, 1]


def test_plain_function_sees_features_by_name_and_the_mask(tmp_path):
    answer = "'YIELD' if mask[2] and features['issues'] > 3 else 0"
    policy = load(user_file(tmp_path, PLAIN, answer=answer))
    assert actions_of(policy, AUG, LATE_AUG, BLOCK) == [0, 2, 0]


def test_user_policy_is_named_for_its_file(tmp_path):
    spec = user_file(tmp_path, PLAIN, answer="0")
    policy = load(spec)
    assert (policy.name, policy.source) == ("mine:decide", spec)
    assert policy.title == "Kick after three tries."


def test_compiled_function_is_kept_as_it_is(tmp_path):
    policy = load(user_file(tmp_path, COMPILED, answer="1 if features[29] & 2 else 0"))
    assert policy.kind == Kind.COMPILED
    assert policy.decide(AUG) == 1


def test_file_may_change_the_discipline(tmp_path):
    head = "DISCIPLINE = {'gate_scope': 'page', 'max_issues': {'MEM_TRACK': 3}}\n"
    head += "DECISION_CYCLES = 25\n"
    policy = load(user_file(tmp_path, head + PLAIN.format(answer="0")))
    expected = DEFAULT.with_(gate_scope="page", max_issues={"MEM_TRACK": 3}, decision_cycles=25)
    assert policy.discipline == expected


def test_zap_yield_makes_a_policy_need_a_kvm_change(tmp_path):
    head = "DISCIPLINE = {'zap_yield': True}\n"
    policy = load(user_file(tmp_path, head + COMPILED.format(answer="2")))
    assert not policy.is_mergeable
    assert policy.mark == "needs a KVM change"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("7", r"returned 7, allowed here: RETRY \(0\), KICK \(1\), YIELD \(2\)"),
        ("-1", r"returned -1, allowed"),
        ("None", "returned None, allowed"),
        ("True", "returned True, allowed"),
        ("1.0", r"returned 1\.0, allowed"),
        ("'WAIT'", "returned 'WAIT', allowed"),
        ("features['rip']", "raised KeyError: \"feature 'rip' is unknown, must be one of: "),
        ("1 // 0", "raised ZeroDivisionError"),
        ("[][features['issues']]", "raised IndexError: list index out of range$"),
        ("__import__('sys').exit(0)", "raised SystemExit: 0$"),
        ("__import__('sys').exit()", "raised SystemExit$"),
        ("raises(type('Odd', (BaseException,), {{}}))", "raised Odd$"),
        ("decide(features, mask)", "raised RecursionError: maximum recursion depth exceeded"),
        ("__import__('numpy').ones((3, 3))", r"returned array\(\[\[1\., .*\), allowed here"),
        ("[5] * 1000", r"returned \[5, 5[5, ]*\.\.\.[5, ]*\], allowed here"),
        ("10 ** 5000", "returned a int, allowed here"),
    ],
)
def test_bad_answer_names_file_function_and_what_is_allowed(tmp_path, answer, told):
    head = "def raises(error):\n    raise error\n"
    policy = load(user_file(tmp_path, head + PLAIN, answer=answer.replace("{{}}", "{}")))
    with pytest.raises(PolicyError, match=r"mine\.py:decide: " + told) as caught:
        actions_of(policy, AUG)
    assert len(str(caught.value).splitlines()) == 1


def test_ctrl_c_in_a_user_s_function_is_no_mistake_of_it(tmp_path):
    head = "def interrupt():\n    raise KeyboardInterrupt\n"
    policy = load(user_file(tmp_path, head + PLAIN, answer="interrupt()"))
    with pytest.raises(KeyboardInterrupt):
        actions_of(policy, AUG)


def test_compiled_kick_of_an_interrupted_call_is_found_at_loading(tmp_path):
    spec = user_file(tmp_path, COMPILED, answer="0 if features[0] == 3 else 1")
    told = r"returned 1, allowed here: RETRY \(0\), YIELD \(2\)$"
    with pytest.raises(PolicyError, match=told):
        load(spec)


def test_masked_answer_is_refused(tmp_path):
    policy = load(user_file(tmp_path, PLAIN, answer="'YIELD'"))
    told = r"mine\.py:decide: returned 'YIELD', allowed here: RETRY \(0\), KICK \(1\)$"
    with pytest.raises(PolicyError, match=told):
        actions_of(policy, BLOCK)


@pytest.mark.parametrize(
    "answer",
    ["7", "2", "-1", "1 // (features[0] * 0)", "features[1000]", "0.0", "features[29] > 0"],
)
def test_bad_answer_of_a_compiled_function_is_found_at_loading(tmp_path, answer):
    with pytest.raises(PolicyError, match=r"mine\.py:decide: (returned|raised)"):
        load(user_file(tmp_path, COMPILED, answer=answer))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def decide(features, mask:\n", r"mine\.py: can't be imported: SyntaxError"),
        ("import no_such_module\n", r"mine\.py: can't be imported: ModuleNotFoundError"),
        ("import sys\nsys.exit()\n", r"mine\.py: can't be imported: SystemExit$"),
        ("raise GeneratorExit\n", r"mine\.py: can't be imported: GeneratorExit$"),
        ("decide = max\n", r"mine\.py:decide: is <built-in function max>, must take \(features"),
        ("decide = dict\n", r"mine\.py:decide: is <class 'dict'>, must take \(features, mask\)"),
        ("async def decide(features, mask): ...\n", "must be a plain function"),
        ("def decide(features, *, mask): ...\n", r"takes \(features, mask\), must take"),
        (
            "DISCIPLINE = {1: 2}\ndef decide(features, mask): ...\n",
            r"DISCIPLINE = \{1: 2\}, must be a dict of fields",
        ),
        ("raise SystemExit(3)\n", r"mine\.py: can't be imported: SystemExit: 3"),
        ("def choose(features, mask): ...\n", r"has no function decide, must be one of: choose"),
        ("decide = 3\n", r"has no function decide, must be one of: .there is none"),
        ("def decide(): ...\n", r"mine\.py:decide: takes \(\), must take \(features, mask\)"),
        (
            "DISCIPLINE = 3\ndef decide(features, mask): ...\n",
            "DISCIPLINE = 3, must be a dict of fields",
        ),
        (
            "DISCIPLINE = {'gate': 1}\ndef decide(features, mask): ...\n",
            r"mine\.py: DISCIPLINE: gate: Extra inputs",
        ),
        (
            "DECISION_CYCLES = 'few'\ndef decide(features, mask): ...\n",
            r"DISCIPLINE: decision_cycles: Input should be a valid integer",
        ),
    ],
)
def test_unusable_file_is_told(tmp_path, text, told):
    with pytest.raises(PolicyError, match=told):
        load(user_file(tmp_path, text))


def test_function_compiled_in_another_way_is_refused(tmp_path):
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT:
        pytest.skip("the compiler is off")
    text = "import numba\n\n@numba.njit\ndef decide(features):\n    return 0\n"
    with pytest.raises(PolicyError, match="must be so by tdx_env.jit.decision"):
        load(user_file(tmp_path, text))


def test_compiled_function_that_calls_itself_is_refused(tmp_path):
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT:
        pytest.skip("the compiler is off: Python itself says so")
    answer = "0 if features[0] > 9 else decide(features)"
    with pytest.raises(PolicyError, match=r"mine\.py:decide: decide calls itself, must not"):
        load(user_file(tmp_path, COMPILED, answer=answer))


def test_undecorated_function_of_one_argument_is_refused(tmp_path):
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT:
        pytest.skip("the compiler is off: a decision function looks just so")
    with pytest.raises(PolicyError, match=r"takes \(features\), must take \(features, mask\)"):
        load(user_file(tmp_path, "def decide(features):\n    return 0\n"))


def test_missing_file_and_missing_function_name_are_told(tmp_path):
    with pytest.raises(PolicyError, match=r"none\.py: there is no such file"):
        load(f"{tmp_path}/none.py:decide")
    with pytest.raises(PolicyError, match="say which function of the file"):
        load(f"{tmp_path}/none.py")


@pytest.mark.parametrize("spec", ["x" * 500, "x" * 500 + "/agent", "retry@" + "x" * 500])
def test_name_that_is_too_long_for_a_file_is_unknown(spec):
    with pytest.raises(PolicyError, match=r"policy 'xxx.*\.\.\.xx.*' is unknown, must be one of"):
        load(spec)


@pytest.mark.parametrize("spec", ["x" * 300 + ".py:decide", "mine.py:" + "x" * 300])
def test_name_that_is_too_long_is_told_in_a_user_s_file_too(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    user_file(tmp_path, PLAIN, answer="0")
    with pytest.raises(PolicyError, match="there is no such file|has no function xxx"):
        load(spec)


def test_object_that_can_be_called_is_a_function_too(tmp_path):
    text = (
        "class Kick:\n    def __call__(self, features, mask):\n        return 1\ndecide = Kick()\n"
    )
    assert actions_of(load(user_file(tmp_path, text)), AUG) == [1]


def test_answers_of_any_policy_are_checked():
    def kick_always(observations, features, masks):
        return np.ones(len(masks), np.int64)

    policy = Policy("kicker", "", "", "", Kind.BATCHED, DEFAULT, act=kick_always)
    assert actions_of(policy, AUG) == [1]
    with pytest.raises(PolicyError, match=r"kicker: returned .*1.*, allowed here: RETRY \(0\)"):
        actions_of(policy, features_of(Leaf.MEM_PAGE_ADD, MASK=1))


@pytest.mark.parametrize("wrong", [-1, 3, 1 << 40, Action.YIELD])
def test_one_wrong_answer_among_many_is_found(wrong):
    def act(observations, features, masks):
        return np.array([Action.KICK, wrong, Action.RETRY])

    policy = Policy("mixed", "", "", "", Kind.BATCHED, DEFAULT, act=act)
    with pytest.raises(PolicyError, match=rf"returned {wrong:d}, .*RETRY \(0\), KICK \(1\)$"):
        actions_of(policy, AUG, features_of(Leaf.MEM_PAGE_AUG, MASK=3), AUG)


def test_compiled_policies_decide_for_batches_too():
    assert actions_of(load("P18"), AUG, BLOCK) == [2, 1]
