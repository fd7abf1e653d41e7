/* wanted: owns reading what is wished for. Refuses lists that are no numbers, and numbers out of range. */
#include "sampler/command/wanted.h"

#include "sampler/command/region.h"
#include "sampler/make/chords.h"

enum { KINDS = 3 };

struct wanted {
    wishes_config_t config;
    uint16_t *chords;
    GArray *numbers[KINDS]; /* double */
    wishes_t *wishes;       /* NULL: none */
};

/* A list of numbers a bar, from low to high. */
typedef struct {
    const char *option, *text;
    double low, high;
    gboolean pitches; /* names of pitches will do, too */
} list_t;

static GArray *read_numbers(const list_t *list, GError **error) {
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(double));
    g_auto(GStrv) words = g_strsplit(list->text ? list->text : "", ",", -1);
    for (size_t i = 0; words[i]; i++) {
        char *end = NULL;
        const int pitch = list->pitches ? region_read_pitch(g_strstrip(words[i])) : -1;
        const double number = pitch >= 0 ? pitch : g_ascii_strtod(g_strstrip(words[i]), &end);
        if (pitch < 0 && (end == words[i] || *end != '\0')) end = NULL;
        if ((pitch < 0 && !end) || !(number >= list->low && number <= list->high)) {
            option_fail(error,
                        "--%s %s: '%s' is no number from %g to %g; give one for all bars, or several with "
                        "commas between, one a bar",
                        list->option, list->text, words[i], list->low, list->high);
            return NULL;
        }
        g_array_append_val(numbers, number);
    }
    return g_steal_pointer(&numbers);
}

/* Whether text is meant as a file, which may not be there. */
static gboolean names_file(const char *text) {
    static const char *const endings[] = {".txt", ".xml", ".musicxml", ".mxl"};
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++)
        if (g_str_has_suffix(text, endings[i])) return TRUE;
    return g_file_test(text, G_FILE_TEST_EXISTS);
}

/* --chords: a file where the name is one's, else the chords themselves. */
static gboolean read_chords(wanted_t *wanted, const cli_t *cli, size_t frames, GError **error) {
    if (!cli->chords) return TRUE;
    g_autoptr(chords_t) chords = names_file(cli->chords) ? chords_from_file(cli->chords, error)
                                                         : chords_from_text(cli->chords, "--chords", error);
    if (!chords) return FALSE;
    wanted->config.chords = wanted->chords = g_new0(uint16_t, frames);
    chords_fill(chords, wanted->config.timeline, frames, wanted->chords);
    return TRUE;
}

wanted_t *wanted_new(const job_t *job, const timeline_t *timeline, size_t frames, GError **error) {
    const cli_t *cli = job->cli;
    g_autoptr(wanted_t) wanted = g_new0(wanted_t, 1);
    const gboolean key = cli->key && option_given(&cli->line, "key");
    const list_t lists[KINDS] = {{"density", cli->wished_density, 0, 100, FALSE},
                                 {"polyphony", cli->wished_polyphony, 0, 88, FALSE},
                                 {"register", cli->wished_register, 0, 127, TRUE}};
    wanted->config = (wishes_config_t){.grid = &job->model->checkpoint.grid,
                                       .planes = job->model->checkpoint.model.planes,
                                       .timeline = timeline,
                                       .strength = cli->wish_strength};
    wishes_bars_t *const bars[KINDS] = {&wanted->config.density, &wanted->config.polyphony,
                                        &wanted->config.height};
    for (size_t i = 0; i < KINDS; i++) {
        if (!(wanted->numbers[i] = read_numbers(&lists[i], error))) return NULL;
        *bars[i] = (wishes_bars_t){(const double *)(void *)wanted->numbers[i]->data, wanted->numbers[i]->len};
    }
    if (!read_chords(wanted, cli, frames, error)) return NULL;
    if (key) wanted->config.scale = wishes_scale(cli->wanted_key.tonic, cli->wanted_key.minor);
    if (key || cli->chords || cli->wished_density || cli->wished_polyphony || cli->wished_register)
        wanted->wishes = wishes_new(&wanted->config, (size_t)cli->particles, frames);
    return g_steal_pointer(&wanted);
}

void wanted_free(wanted_t *wanted) {
    if (!wanted) return;
    wishes_free(wanted->wishes);
    for (size_t i = 0; i < KINDS; i++)
        if (wanted->numbers[i]) g_array_unref(wanted->numbers[i]);
    g_free(wanted->chords);
    g_free(wanted);
}

const particles_wish_t *wanted_begin(const wanted_t *wanted) {
    return wanted->wishes ? wishes_begin(wanted->wishes) : NULL;
}
