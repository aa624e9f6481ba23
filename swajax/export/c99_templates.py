"""The parts of a C header, to be filled in by `str.format`."""

from typing import NamedTuple

NUMBERS = """\
/* Places in number[]: cells in the units of the table, NAN where missing.
   Compile without -ffast-math, which knows no NAN. */
"""
CATEGORIES = """\
/* Places in category[]: codes as below, -1 for missing and any other. */
"""
FILL = """\
static inline float {prefix}_fill(float value, float fill)
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
static inline float {prefix}_sigmoid(float x)
{{
    return 1.0f / (1.0f + expf(-x));
}}
""",
    ),
    "tanh": CActivation("tanhf({sum})"),
    "leaky_relu": CActivation(
        "{prefix}_leaky_relu({sum})",
        """\
static inline float {prefix}_leaky_relu(float x)
{{
    return x >= 0.0f ? x : {slope} * x;
}}
""",
    ),
    "linear": CActivation("{sum}"),
    "sin": CActivation("sinf({sum})"),
    "square": CActivation(
        "{prefix}_square({sum})",
        """\
static inline float {prefix}_square(float x)
{{
    return x * x;
}}
""",
    ),
    "gelu": CActivation(
        "{prefix}_gelu({sum})",
        """\
static inline float {prefix}_gelu(float x)
{{
    const float u = x + 0.044715f * x * x * x;
    return 0.5f * x * (1.0f + tanhf(0.7978846f * u));
}}
""",
    ),
}

REGRESSION = """\
/* The prediction, in the units of the target. */
static inline float {prefix}_predict({parameters})
{{
{body}
    return {y1};
}}
"""
TWO_CLASSES = """\
/* The log-odds of class 1 against class 0. */
static inline float {prefix}_log_odds({parameters})
{{
{body}
    return {y1};
}}

/* The number of the more probable class. */
static inline int {prefix}_predict({parameters})
{{
    return {prefix}_log_odds({arguments}) > 0.0f ? 1 : 0;
}}

/* Probabilities of both classes. */
static inline void {prefix}_probabilities({parameters}, float probability[2])
{{
    const float log_odds = {prefix}_log_odds({arguments});
    probability[0] = 1.0f / (1.0f + expf(log_odds));
    probability[1] = 1.0f / (1.0f + expf(-log_odds));
}}
"""
MORE_CLASSES = """\
/* A score a class; their differences are log-odds. */
static inline void {prefix}_scores({parameters}, float score[{num}])
{{
{body}
{scores}
}}

/* The number of the most probable class. */
static inline int {prefix}_predict({parameters})
{{
    float score[{num}];
    int best = 0;
    {prefix}_scores({arguments}, score);
    for (int i = 1; i < {num}; i++)
        if (score[i] > score[best])
            best = i;
    return best;
}}

/* Probabilities of all classes. */
static inline void {prefix}_probabilities({parameters}, float probability[{num}])
{{
    const int best = {prefix}_predict({arguments});
    float highest, total = 0.0f;
    {prefix}_scores({arguments}, probability);
    highest = probability[best];
    for (int i = 0; i < {num}; i++)
        total += probability[i] = expf(probability[i] - highest);
    for (int i = 0; i < {num}; i++)
        probability[i] /= total;
}}
"""
LABEL = """\
/* The name of a class by its number, in UTF-8. */
static inline const char *{prefix}_label(int number)
{{
    static const char *const labels[{num}] = {{
        {labels}
    }};
    return number >= 0 && number < {num} ? labels[number] : "";
}}
"""
