/* The engine of command lines: each type of row, defaults, ranges, help, what is given twice. */
#include "preprocess/common/option.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    gboolean quiet, help;
    int count, format;
    int64_t seed;
    double rate;
    char *kind, *name, **more;
    int pair[2];
} values_t;

static gboolean read_pair(G_GNUC_UNUSED const option_t *option, const char *text, void *value) {
    int a, b, *pair = value;
    char rest;
    if (sscanf(text, "%d:%d%c", &a, &b, &rest) != 2) return FALSE;
    pair[0] = a, pair[1] = b;
    return TRUE;
}

#define AT(member) .offset = offsetof(values_t, member), .whom = 1
static const option_t ROWS[] = {
    {"quiet", 'q', 0, OPTION_FLAG, AT(quiet), .help = "say nothing"},
    {"count", 'n', 0, OPTION_INT, AT(count), .fallback = "3", .argument = "N", .low = 1, .high = 9,
     .help = "how many (default {default}, {range})", .refusal = "{label}: '{text}' is not a number {from}"},
    {"seed", 0, 1, OPTION_INT64, AT(seed), .fallback = "1", .argument = "N", .low = 0, .high = INFINITY,
     .help = "of the draws ({range})", .refusal = "{label} {value} is out of range; give {give}"},
    {"rate", 't', 1, OPTION_REAL, AT(rate), .fallback = "1e-08", .argument = "X", .low = 0, .high = 0.5,
     .help = "({give}, default {default})", .refusal = "{label} {value} is out of range; give {give}"},
    {"kind", 0, 1, OPTION_CHOICE, AT(kind), .fallback = "wide", .argument = "wide|narrow", .help = "which",
     .refusal = "{label}: '{text}' is not one of {choices}"},
    {"picture", 'p', 0, OPTION_FORMAT, AT(format), .argument = "png|svg", .help = "a picture",
     .refusal = "{label}={text}: no format"},
    {"name", 0, 0, OPTION_TEXT, AT(name), .argument = "NAME", .help = "a name",
     .refusal = "{label} is empty; give {argument}"},
    {"more", 0, 0, OPTION_LIST, AT(more), .argument = "WHAT", .help = "more of it", .needs = "name,kind",
     .refusal = "{label} is empty"},
    {"pair", 0, 0, OPTION_READ, offsetof(values_t, pair), .argument = "A:B", .read = read_pair, .whom = 2,
     .help = "two", .refusal = "{label}: '{text}' is no pair"},
    {"help", 'h', 0, OPTION_FLAG, AT(help), .help = "print this"},
    {.name = NULL},
};
static const char *const GROUPS[] = {"First:", "Second:", NULL};

static const char *only(unsigned whom) { return whom == 2 ? "pairs only" : "others"; }

/* Reads a line, words split at spaces, and sets what it gives. */
static gboolean set_line(const char *text, values_t *values, option_line_t *line, GError **error) {
    const option_command_t command = {
        .rows = ROWS, .groups = GROUPS, .parameters = "FILE...", .whom = 1, .only = only};
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    *values = (values_t){0};
    option_set_defaults(ROWS, values);
    return option_read_line(&command, values, (int)g_strv_length(words), words, line, error) &&
           option_set_given(ROWS, line, values, error);
}

static void test_values(void) {
    values_t v;
    g_autoptr(GError) error = NULL;
    g_auto(option_line_t) line = {0}, none = {0};
    g_assert_true(set_line("p a -n8 --rate=0.25 --more x --more y -q b --kind narrow --pair 3:4 -- -q -n", &v,
                           &line, &error));
    g_assert_no_error(error);
    g_assert_true(v.quiet && v.count == 8 && v.rate == 0.25 && v.seed == 1 && v.pair[0] == 3 &&
                  v.pair[1] == 4);
    g_assert_true(!v.name && g_str_equal(v.kind, "narrow") && v.format == 0);
    g_assert_true(g_strv_equal((const char *const *)v.more, (const char *const[]){"x", "y", NULL}));
    g_assert_true(
        g_strv_equal((const char *const *)line.files, (const char *const[]){"a", "b", "-q", "-n", NULL}));
    g_assert_cmpstr(option_given(&line, "count"), ==, "8");
    g_assert_cmpstr(option_given(&line, "quiet"), ==, "");
    g_assert_null(option_given(&line, "seed"));
    option_clear(ROWS, &v);
    g_assert_true(set_line("p", &v, &none, &error));
    g_assert_true(!v.quiet && v.count == 3 && v.rate == 1e-8 && g_str_equal(v.kind, "wide") && !v.more);
    g_assert_null(none.files);
    option_clear(ROWS, &v);
}

/* Each row but a flag and a format comes back as the text that was given. */
static void test_back(void) {
    const char *const texts[][2] = {{"count", "9"},
                                    {"seed", "9223372036854775807"},
                                    {"rate", "0.12345678901234568"},
                                    {"kind", "narrow"},
                                    {"name", "x"}};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        values_t v = {0};
        const option_t *option = option_find(ROWS, texts[i][0]);
        g_assert_true(option_set(&v, option, texts[i][1], "here", NULL));
        g_autofree char *back = option_get(&v, option);
        g_assert_cmpstr(back, ==, texts[i][1]);
        option_clear(ROWS, &v);
    }
}

/* A format's value may be left out; the word after it is only taken where it is one. */
static void test_formats(void) {
    const struct {
        const char *line;
        int format;
        guint files;
    } cases[] = {{"p --picture", 1, 0},       {"p --picture svg", 2, 0}, {"p -p a", 1, 1},
                 {"p --picture=svg a", 2, 1}, {"p -p svg png", 2, 1},    {"p -qp", 1, 0},
                 {"p -- --picture", 0, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        values_t v;
        g_autoptr(GError) error = NULL;
        g_auto(option_line_t) line = {0};
        g_assert_true(set_line(cases[i].line, &v, &line, &error));
        g_assert_cmpint(v.format, ==, cases[i].format);
        g_assert_cmpuint(line.files ? g_strv_length(line.files) : 0, ==, cases[i].files);
        option_clear(ROWS, &v);
    }
}

/* A number may be attached to its letter. */
static void test_letters(void) {
    const struct {
        const char *line;
        int count;
        double rate;
        const char *files;
    } cases[] = {
        {"p -n2 in", 2, 1e-8, "in"},       {"p -n8 -t.5", 8, 0.5, ""},
        {"p -t0.5 --count 3", 3, 0.5, ""}, {"p -q --seed=3 -qn 4", 4, 1e-8, ""},
        {"p - -n4 -", 4, 1e-8, "- -"},     {"p -- -n2", 3, 1e-8, "-n2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        values_t v;
        g_autoptr(GError) error = NULL;
        g_auto(option_line_t) line = {0};
        g_assert_true(set_line(cases[i].line, &v, &line, &error));
        g_autofree char *files = line.files ? g_strjoinv(" ", line.files) : g_strdup("");
        g_assert_true(v.count == cases[i].count && v.rate == cases[i].rate);
        g_assert_cmpstr(files, ==, cases[i].files);
        option_clear(ROWS, &v);
    }
    values_t v = {0};
    g_auto(option_line_t) line = {0};
    char *const argv[] = {"p", "--name", "-nx", "--more", "-1,2", NULL}; /* values that only look like it */
    const option_command_t command = {.rows = ROWS, .groups = GROUPS};
    g_assert_true(option_read_line(&command, &v, 5, argv, &line, NULL));
    g_assert_cmpstr(option_given(&line, "more"), ==, "-1,2");
}

static void test_refusals(void) {
    const struct {
        const char *line, *message;
    } cases[] = {
        {"p -n 0", "--count: '0' is not a number from 1 to 9"},
        {"p -n x", "--count: 'x' is not a number from 1 to 9"},
        {"p --count 08x", "--count: '08x' is not a number from 1 to 9"},
        {"p --seed -1", "--seed -1 is out of range; give at least 0"},
        {"p --seed x", "Cannot parse integer value \u201cx\u201d for --seed"},
        {"p --rate 0.75", "--rate 0.75 is out of range; give 0 to 0.5"},
        {"p --rate nan", "--rate nan is out of range; give 0 to 0.5"},
        {"p --rate {range}", "Cannot parse double value \u201c{range}\u201d for --rate"},
        {"p --kind {choices}", "--kind: '{choices}' is not one of wide, narrow"},
        {"p --picture=gif", "--picture=gif: no format"},
        {"p --name=", "--name is empty; give NAME"},
        {"p --more a --more=", "--more is empty"},
        {"p --pair 3", "--pair: '3' is no pair"},
        {"p --pear 3", "--pear: unknown option"},
        {"p --conut=3", "--conut: unknown option; did you mean --count?"},
        {"p --name", "Missing argument for --name"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        values_t v;
        g_autoptr(GError) error = NULL;
        g_auto(option_line_t) line = {0};
        g_assert_false(set_line(cases[i].line, &v, &line, &error));
        g_assert_cmpstr(error->message, ==, cases[i].message);
        option_clear(ROWS, &v);
    }
}

/* What takes one value is refused where it is there again, even with the same one; a flag may be repeated. */
static void test_twice(void) {
    const struct {
        const char *line, *message;
    } cases[] = {
        {"p --count 2 --count=3", "--count: is there twice, with '2' and '3'; give it once"},
        {"p -n 2 --count 2", "--count: is there twice, with '2' and '2'; give it once"},
        {"p -n 2 a -n4", "--count: is there twice, with '2' and '4'; give it once"},
        {"p --picture -p svg", "--picture: is there twice, with 'png' and 'svg'; give it once"},
        {"p --name a --name b", "--name: is there twice, with 'a' and 'b'; give it once"},
        {"p --pair 1:2 --pair 1:2", "--pair: is there twice, with '1:2' and '1:2'; give it once"},
        {"p -q -q --quiet --more a --more a --count 2 -- -n 3", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        values_t v;
        g_autoptr(GError) error = NULL;
        g_auto(option_line_t) line = {0};
        const gboolean good = set_line(cases[i].line, &v, &line, &error);
        g_assert_true(good == !cases[i].message);
        if (!good) g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
        g_assert_cmpstr(error ? error->message : NULL, ==, cases[i].message);
        option_clear(ROWS, &v);
    }
}

static void test_nearest(void) {
    g_assert_cmpstr(option_nearest_name(ROWS, "cuont", 0), ==, "count");
    g_assert_cmpstr(option_nearest_name(ROWS, "pic", 0), ==, "picture");
    g_assert_cmpstr(option_nearest_name(ROWS, "rat", 1), ==, "rate");
    g_assert_null(option_nearest_name(ROWS, "cuont", 1));
    g_assert_null(option_nearest_name(ROWS, "xyz", 0));
}

/* In groups, where the table has a row for it; else in GOption's own way, which ends the process. */
static void test_help(void) {
    values_t v;
    g_auto(option_line_t) line = {0};
    g_assert_true(set_line("p --name x --help", &v, &line, NULL));
    const char *const parts[] = {"FILE...\n",
                                 "\nFirst:\n  -q, --quiet ",
                                 "  -n, --count=N             how many (default 3, 1..9)\n",
                                 "  -p, --picture=png|svg     a picture\n",
                                 "  --more=WHAT               more of it; needs --name or --kind\n",
                                 "  --pair=A:B                two; pairs only\n",
                                 "\nSecond:\n",
                                 "  --seed=N                  of the draws (0 or more)\n",
                                 "  -t, --rate=X              (0 to 0.5, default 1e-08)\n"};
    const char *at = line.help;
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (!(at = strstr(at, parts[i]))) g_error("no '%s' in its place of\n%s", parts[i], line.help);
    option_clear(ROWS, &v);
    if (g_test_subprocess()) {
        const option_t rows[] = {ROWS[1], {.name = NULL}};
        const option_command_t command = {.rows = rows, .description = "Example"};
        char *const argv[] = {"p", "--help"};
        g_auto(option_line_t) other = {0};
        option_read_line(&command, &(values_t){.count = 5}, 2, argv, &other, NULL);
        g_error("--help did not end the process");
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stdout(
        "*Help Options:\n*Application Options:\n*how many (default 5, 1..9)\n*Example*");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/option/values", test_values);
    g_test_add_func("/option/back", test_back);
    g_test_add_func("/option/formats", test_formats);
    g_test_add_func("/option/letters", test_letters);
    g_test_add_func("/option/refusals", test_refusals);
    g_test_add_func("/option/twice", test_twice);
    g_test_add_func("/option/nearest", test_nearest);
    g_test_add_func("/option/help", test_help);
    return g_test_run();
}
