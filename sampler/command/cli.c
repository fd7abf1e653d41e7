/* cli: owns the sampler's command line: what a verb's options mean together, for a kind of model, and in the
 * files that are made. Refuses unknown verbs, the wrong number of files and options that nothing would read,
 * before any file is opened. */
#include "sampler/command/cli.h"

#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/typo.h"

/* "prior, reconstruct, ...". Owner: caller. */
static char *list_verbs(const verb_t *const *verbs) {
    GString *list = g_string_new(verbs[0]->name);
    for (size_t v = 1; verbs[v]; v++) g_string_append_printf(list, ", %s", verbs[v]->name);
    return g_string_free(list, FALSE);
}

/* The verb of that name. NULL with error set. */
static const verb_t *find_verb(const verb_t *const *verbs, const char *name, GError **error) {
    const verb_t *nearest = verbs[0];
    for (size_t v = 0; verbs[v]; v++)
        if (typo_distance(name, verbs[v]->name) < typo_distance(name, nearest->name)) nearest = verbs[v];
    const size_t distance = typo_distance(name, nearest->name);
    g_autofree char *list = list_verbs(verbs);
    if (distance == 0) return nearest;
    if (distance <= 3)
        option_fail(error, "unknown verb '%s'; did you mean '%s'? See %s --help", name, nearest->name,
                    program_name());
    else
        option_fail(error, "unknown verb '%s'; the verbs are %s; see %s --help", name, list, program_name());
    return NULL;
}

static void print_help(const verb_t *const *verbs) {
    const char *name = program_name();
    g_print("Usage: %s VERB [OPTION...] [FILE...]\n\nMakes music with a checkpoint that mpianist's trainer "
            "wrote.\n\nVerbs:\n",
            name);
    for (size_t v = 0; verbs[v]; v++)
        g_print("  %-12s %-12s %s\n", verbs[v]->name, verbs[v]->takes, verbs[v]->summary);
    g_print("\n'%s VERB --help' lists a verb's options. Paths of the files written go to standard output, "
            "one a line; talk to standard error.\n"
            "Exit status: 0 done, 1 error, 2 bad usage.\n\nExamples:\n",
            name);
    for (size_t v = 0; verbs[v]; v++) g_print("  %s %s\n", name, verbs[v]->example);
}

void cli_free(cli_t *cli) {
    if (!cli) return;
    g_strfreev(cli->files);
    option_clear(cli->verb->rows, cli);
    option_line_clear(&cli->line);
    g_free(cli);
}

static gboolean check_attributes(const cli_t *cli, GError **error) {
    for (char **more = cli->more; more && *more; more++)
        if (cli->less && g_strv_contains((const char *const *)cli->less, *more))
            return option_fail(error, "--more %s and --less %s exclude each other; give one", *more, *more);
    return TRUE;
}

/* ---- options beside others ---- */

/* The first of "a,b" that is on the command line. Owner: caller; NULL: none. */
static char *first_given(const cli_t *cli, const char *names) {
    g_auto(GStrv) each = g_strsplit(names ? names : "", ",", -1);
    for (size_t i = 0; each[i]; i++)
        if (option_given(&cli->line, each[i])) return g_strdup(each[i]);
    return NULL;
}

/* Whether the other options that are given let this one be read. If not, *other (owner: caller) is the one
 * that excludes it; NULL: one that it needs is missing. */
static gboolean is_read(const cli_t *cli, const option_t *option, char **other) {
    g_autofree char *needed = first_given(cli, option->needs);
    *other = first_given(cli, option->excludes);
    return !*other && (!option->needs || needed);
}

static gboolean check_company(const cli_t *cli, GError **error) {
    for (const option_t *option = cli->verb->rows; option->name; option++) {
        g_autofree char *other = NULL;
        if (!option_given(&cli->line, option->name) || is_read(cli, option, &other)) continue;
        if (other)
            return option_fail(error, "--%s and --%s exclude each other%s%s; give one", other, option->name,
                               option->because ? ": " : "", option->because ? option->because : "");
        g_autofree char *needs = option_list_names(option->needs);
        return option_fail(error, "--%s needs %s, or nothing reads it; give both or leave it out",
                           option->name, needs);
    }
    return TRUE;
}

/* Checks what no single option's range can. */
static gboolean cli_check(cli_t *cli, GError **error) {
    const verb_t *verb = cli->verb;
    cli->n_files = cli->files ? g_strv_length(cli->files) : 0;
    if (cli->n_files < verb->min_files || cli->n_files > verb->max_files) {
        if (verb->max_files == 0)
            return option_fail(error, "%s takes no files, but '%s' was given; see %s %s --help", verb->name,
                               cli->files[0], program_name(), verb->name);
        return option_fail(error, "%s wants %s, but %u %s given: %s %s", verb->name, verb->takes,
                           cli->n_files, cli->n_files == 1 ? "file was" : "files were", program_name(),
                           verb->example);
    }
    for (guint i = 0; i < cli->n_files; i++)
        if (*cli->files[i] == '\0')
            return option_fail(error, "%s: the name of file %u is empty; give %s", verb->name, i + 1,
                               verb->takes);
    if (!check_company(cli, error)) return FALSE;
    if (verb->kinds && !cli->checkpoint)
        return option_fail(error, "which model? Give --checkpoint RUN/best.h5, as %s wrote it",
                           program_called("trainer"));
    if (verb->check && !verb->check(cli, NULL, error)) return FALSE;
    if (cli->key && !key_from_text(cli->key, &cli->wanted_key))
        return option_fail(error, "--key %s: not a key; give one like C, Am, F#m or Bb", cli->key);
    return check_attributes(cli, error);
}

/* What --help says of an option that is not for all models that the verb is for. */
static const char *models_of(unsigned kinds) {
    return (kinds & ANY) == DENSE ? "dense models only"
           : kinds & DENSE        ? "models with latent vectors"
                                  : "sequence models only";
}

static gboolean cli_read(cli_t *cli, int argc, char *const *argv, GError **error) {
    const verb_t *verb = cli->verb;
    g_autofree char *program = g_strdup_printf("%s %s", program_name(), verb->name);
    g_autofree char *example = g_strdup_printf("Example:\n  %s %s", program_name(), verb->example);
    const option_command_t command = {.rows = verb->rows,
                                      .parameters = verb->takes,
                                      .summary = verb->summary,
                                      .description = example,
                                      .whom = verb->kinds,
                                      .only = models_of};
    g_autoptr(GError) cause = NULL;
    g_set_prgname(program);
    option_set_defaults(cli->verb->rows, cli);
    if (option_read_line(&command, cli, argc, argv, &cli->line, &cause)) {
        cli->files = g_steal_pointer(&cli->line.files);
        cli->version = option_given(&cli->line, "version") != NULL;
        if (cli->version || option_set_given(cli->verb->rows, &cli->line, cli, &cause)) return TRUE;
    }
    if (cause->domain != G_OPTION_ERROR) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return option_fail(error, "%s (%s %s --help lists all options)", cause->message, program_name(),
                       verb->name);
}

cli_t *cli_parse(const verb_t *const *verbs, int argc, char *const *argv, GError **error) {
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        program_print_version("sampler");
        return NULL;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(verbs);
        return NULL;
    }
    if (argc < 2) {
        g_autofree char *list = list_verbs(verbs);
        option_fail(error, "no verb; the verbs are %s; see %s --help", list, program_name());
        return NULL;
    }
    if (word[0] == '-') {
        option_fail(error, "the verb comes first: %s prior %s ...; see %s --help", program_name(), word,
                    program_name());
        return NULL;
    }
    const verb_t *verb = find_verb(verbs, word, error);
    if (!verb) return NULL;
    g_autoptr(cli_t) cli = g_new0(cli_t, 1);
    *cli = (cli_t){.verb = verb, .bar = 1};
    if (!cli_read(cli, argc - 1, argv + 1, error)) return NULL;
    if (cli->version) {
        program_print_version("sampler");
        return NULL;
    }
    return cli_check(cli, error) ? g_steal_pointer(&cli) : NULL;
}

/* Warns of options that are accepted but read by nothing with this model and these values. That is harmless:
 * the piece is the one asked for. */
static void warn_unread(const cli_t *cli, gboolean plays) {
    const gboolean notes = cli->draw && (cli->kind == DENSE || cli->temperature > 0);
    const gboolean fresh = cli->verb->draws && !cli->latents && cli->temperature > 0;
    const gboolean latents = cli->kind != PLAIN && (fresh || cli->amount > 0);
    if (notes || latents || plays) return;
    if (option_given(&cli->line, "seed"))
        program_say("warning: --seed changes nothing: nothing is drawn here%s\n",
                    cli->draw ? "" : "; see --sample");
    if (option_given(&cli->line, "temperature") && cli->greedy)
        program_say("warning: --temperature changes nothing: with --greedy this model draws nothing\n");
}

gboolean cli_fit(cli_t *cli, const model_config_t *model, GError **error) {
    const verb_t *verb = cli->verb;
    const unsigned kind = model->kind == MODEL_DENSE ? DENSE : model->latent > 0 ? VAE : PLAIN;
    if (!(verb->kinds & kind) && kind == DENSE)
        return option_fail(
            error,
            "%s: has no meaning for a dense model: its windows know nothing of each other; use a "
            "model trained with --model sequence",
            verb->name);
    if (!(verb->kinds & kind))
        return option_fail(
            error,
            "%s: has no meaning for this model, which has no latent vectors (--latent 0); it has "
            "prior, song and continue",
            verb->name);
    for (const option_t *option = cli->verb->rows; option->name; option++)
        if (option_given(&cli->line, option->name) && !(option->whom & kind))
            return option_fail(error, "--%s has no meaning for %s%s%s", option->name,
                               kind == DENSE             ? "a dense model"
                               : option->whom & SEQUENCE ? "a model without latent vectors"
                                                         : "a sequence model",
                               option->instead ? ": " : "; leave it out",
                               option->instead ? option->instead : "");
    const gboolean plays = model->kind == MODEL_SEQUENCE && model->sequence.performance > 0;
    if (option_given(&cli->line, "perform") && !plays)
        return option_fail(error,
                           "--perform has no meaning for this model, which has not learned how notes are "
                           "played; train one with --performance N");
    if (verb->check && !verb->check(cli, model, error)) return FALSE;
    if (kind != VAE || cli->draw || cli->greedy) cli->best_of = 0;
    if (kind != DENSE && !cli->greedy && (verb->draws || cli->best_of > 0)) cli->draw = TRUE;
    cli->kind = kind;
    warn_unread(cli, plays && cli->perform > 0);
    return TRUE;
}

static void add_text(GPtrArray *texts, const option_t *option, const char *value) {
    g_ptr_array_add(texts, g_strdup_printf("%s: %s", option->name, value));
}

gboolean cli_check_meter(cli_t *cli, G_GNUC_UNUSED const model_config_t *model, GError **error) {
    return !cli->meter || meter_from_text(cli->meter, &cli->bar_meter) ||
           option_fail(error, "--meter %s: not a meter; give one like 4/4 or 6/8", cli->meter);
}

void cli_add_texts(const cli_t *cli, GPtrArray *texts) {
    for (const option_t *option = cli->verb->rows; option->name; option++) {
        const GPtrArray *given = g_hash_table_lookup(cli->line.given, option->name);
        g_autofree char *other = NULL, *value = option_get(cli, option);
        if (!(option->whom & TOLD) || !(option->whom & cli->kind) || !(given || option->fallback) ||
            !is_read(cli, option, &other))
            continue;
        if (option->type == OPTION_LIST)
            for (guint i = 0; i < given->len; i++) add_text(texts, option, given->pdata[i]);
        else
            add_text(texts, option, option->type == OPTION_FLAG ? "yes" : value);
    }
}
