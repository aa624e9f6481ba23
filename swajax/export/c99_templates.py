"""Parts of a C header, filled in by `str.format`.

`{cell}` is the type of the table's numbers and of the prediction, `{real}` the type of
the network, and `{f}` the suffix of the functions of math.h for `{real}`.
"""

from typing import NamedTuple

NUMBERS = """\
/* Indices of number[], in the units of the table; NAN where missing.
   Do not compile with -ffast-math: it removes the test for NAN. */
"""
CATEGORIES = """\
/* Indices of category[]; codes as below, -1 where missing or unknown. */
"""
FILL = """\
static inline {cell} {prefix}_fill({cell} value, {cell} fill)
{{
    return isnan(value) ? fill : value;
}}
"""


class CActivation(NamedTuple):
    """An activation in C: its call, and the helper function that the call needs."""

    call: str
    helper: str = ""


ACTIVATIONS = {
    "sigmoid": CActivation(
        "{prefix}_sigmoid({sum})",
        """\
static inline {real} {prefix}_sigmoid({real} x)
{{
    return {one} / ({one} + exp{f}(-x));
}}
""",
    ),
    "tanh": CActivation("tanh{f}({sum})"),
    "leaky_relu": CActivation(
        "{prefix}_leaky_relu({sum})",
        """\
static inline {real} {prefix}_leaky_relu({real} x)
{{
    return x >= {zero} ? x : {slope} * x;
}}
""",
    ),
    "linear": CActivation("{sum}"),
    "sin": CActivation("sin{f}({sum})"),
    "square": CActivation(
        "{prefix}_square({sum})",
        """\
static inline {real} {prefix}_square({real} x)
{{
    return x * x;
}}
""",
    ),
    "gelu": CActivation(
        "{prefix}_gelu({sum})",
        """\
static inline {real} {prefix}_gelu({real} x)
{{
    const {real} u = x + {gelu_cubic} * x * x * x;
    return {half} * x * ({one} + tanh{f}({gelu_scale} * u));
}}
""",
    ),
    "relu": CActivation(
        "{prefix}_relu({sum})",
        """\
static inline {real} {prefix}_relu({real} x)
{{
    return x >= {zero} ? x : {zero};
}}
""",
    ),
}

REGRESSION = """\
/* Return the prediction in the units of the target. */
static inline {cell} {prefix}_predict({parameters})
{{
{body}
{result}
}}
"""
TWO_CLASSES = """\
/* Return the log-odds of class 1 against class 0. */
static inline {real} {prefix}_log_odds({parameters})
{{
{body}
{result}
}}

/* Return the number of the more probable class. */
static inline int {prefix}_predict({parameters})
{{
    return {prefix}_log_odds({arguments}) > {zero} ? 1 : 0;
}}

/* Compute the probabilities of both classes. */
static inline void {prefix}_probabilities({parameters}, {real} probability[2])
{{
    const {real} log_odds = {prefix}_log_odds({arguments});
    probability[0] = {one} / ({one} + exp{f}(log_odds));
    probability[1] = {one} / ({one} + exp{f}(-log_odds));
}}
"""
MORE_CLASSES = """\
/* Compute one score per class; differences of scores are log-odds. */
static inline void {prefix}_scores({parameters}, {real} score[{num}])
{{
{body}
{scores}
}}

/* Return the number of the most probable class. */
static inline int {prefix}_predict({parameters})
{{
    {real} score[{num}];
    int best = 0;
    {prefix}_scores({arguments}, score);
    for (int i = 1; i < {num}; i++)
        if (score[i] > score[best])
            best = i;
    return best;
}}

/* Compute the probabilities of all classes. */
static inline void {prefix}_probabilities({parameters}, {real} probability[{num}])
{{
    const int best = {prefix}_predict({arguments});
    {real} highest, total = {zero};
    {prefix}_scores({arguments}, probability);
    highest = probability[best];
    for (int i = 0; i < {num}; i++)
        total += probability[i] = exp{f}(probability[i] - highest);
    for (int i = 0; i < {num}; i++)
        probability[i] /= total;
}}
"""
LABEL = """\
/* Return the name of a class by its number, in UTF-8. */
static inline const char *{prefix}_label(int number)
{{
    static const char *const labels[{num}] = {{
        {labels}
    }};
    return number >= 0 && number < {num} ? labels[number] : "";
}}
"""
