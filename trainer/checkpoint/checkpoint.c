/* checkpoint: owns the checkpoint format, both ways. checkpoint_t is a flat record of named attributes under
 * one SHA-256, the weights and moments are matrices under HDF5's checksums, so a flipped byte is noticed
 * wherever it falls. Refuses other formats, later versions and other shapes. Which files of a run folder
 * stay, and what its links point at, is in checkpoint_folder.c; the vectors of attributes are in
 * checkpoint_attributes.c. */
#include "trainer/checkpoint/checkpoint_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/model/sizes.h"

G_DEFINE_QUARK(mpianist_checkpoint_error, checkpoint_error)

G_STATIC_ASSERT(sizeof(real_t) == sizeof(float)); /* h5_write_floats() */

#define CHECKSUM "head_sha256"

static const char *const loss_names[] = {"bce", "mse"};

#define LAGS_BEFORE_3     "1,2,4" /* of sequence models, before version 3 of the format */
#define PROFILES_BEFORE_4 "0"

/* checkpoint_t as it stands in the file. */
typedef struct {
    char *model, *loss, *hidden, *roles, *meter, *options, *corpus_id, *lags, *profiles;
    int64_t window, tracks, planes, pitches, latent;
    int64_t steps_per_beat, pitch_low, fold_octaves, sustain_pedal;
    int64_t seed, epoch, step, epoch_step, batch, epoch_windows, best_epoch, adam_step, averaged;
    double tempo_bpm, epoch_nll, epoch_kl, epoch_frames, epoch_segments, epoch_auxiliary, best, seconds;
    int64_t segment, state, encoder, sketch, nade, tied, posterior_hidden, prior_hidden, sketch_hidden;
} record_t;

typedef enum { FIELD_TEXT, FIELD_INT, FIELD_DOUBLE } field_type_t;

static const struct {
    const char *name;
    field_type_t type;
    size_t offset;
    int64_t since; /* version of the format */
} fields[] = {
#define FIELD(type, member)                                                                                  \
    { #member, type, offsetof(record_t, member), 1 }
    FIELD(FIELD_TEXT, model),
    FIELD(FIELD_TEXT, loss),
    FIELD(FIELD_INT, window),
    FIELD(FIELD_INT, tracks),
    FIELD(FIELD_INT, planes),
    FIELD(FIELD_INT, pitches),
    FIELD(FIELD_TEXT, hidden),
    FIELD(FIELD_INT, latent),
    FIELD(FIELD_INT, steps_per_beat),
    FIELD(FIELD_INT, pitch_low),
    FIELD(FIELD_TEXT, roles),
    FIELD(FIELD_INT, fold_octaves),
    FIELD(FIELD_INT, sustain_pedal),
    FIELD(FIELD_TEXT, options),
    FIELD(FIELD_TEXT, corpus_id),
    FIELD(FIELD_DOUBLE, tempo_bpm),
    FIELD(FIELD_TEXT, meter),
    FIELD(FIELD_INT, seed),
    FIELD(FIELD_INT, epoch),
    FIELD(FIELD_INT, step),
    FIELD(FIELD_INT, epoch_step),
    FIELD(FIELD_INT, batch),
    FIELD(FIELD_DOUBLE, epoch_nll),
    FIELD(FIELD_DOUBLE, epoch_kl),
    FIELD(FIELD_INT, epoch_windows),
    FIELD(FIELD_DOUBLE, best),
    FIELD(FIELD_INT, best_epoch),
    FIELD(FIELD_INT, adam_step),
    FIELD(FIELD_DOUBLE, seconds),
#undef FIELD
#define FIELD(type, member)                                                                                  \
    { #member, type, offsetof(record_t, member), 2 }
    FIELD(FIELD_INT, averaged),
    FIELD(FIELD_DOUBLE, epoch_frames),
    FIELD(FIELD_DOUBLE, epoch_segments),
    FIELD(FIELD_DOUBLE, epoch_auxiliary),
    FIELD(FIELD_INT, segment),
    FIELD(FIELD_INT, state),
    FIELD(FIELD_INT, encoder),
    FIELD(FIELD_INT, sketch),
    FIELD(FIELD_INT, nade),
    FIELD(FIELD_INT, tied),
    FIELD(FIELD_INT, posterior_hidden),
    FIELD(FIELD_INT, prior_hidden),
    FIELD(FIELD_INT, sketch_hidden),
#undef FIELD
#define FIELD(type, member)                                                                                  \
    { #member, type, offsetof(record_t, member), 3 }
    FIELD(FIELD_TEXT, lags),
#undef FIELD
#define FIELD(type, member)                                                                                  \
    { #member, type, offsetof(record_t, member), 4 }
    FIELD(FIELD_TEXT, profiles),
#undef FIELD
};

/* Members of a record by the table's offset. */
static char **text_at(record_t *record, size_t i) {
    return (char **)(void *)((char *)record + fields[i].offset);
}
static int64_t *int_at(record_t *record, size_t i) {
    return (int64_t *)(void *)((char *)record + fields[i].offset);
}
static double *double_at(record_t *record, size_t i) {
    return (double *)(void *)((char *)record + fields[i].offset);
}

static void record_clear(record_t *record) {
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (fields[i].type == FIELD_TEXT) g_free(*text_at(record, i));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(record_t, record_clear)

void checkpoint_clear(checkpoint_t *checkpoint) { g_clear_pointer(&checkpoint->options, g_free); }

/* SHA-256 over "name=value" lines of a version's fields; owner: caller. */
static char *record_checksum(record_t *record, int64_t version) {
    g_autoptr(GString) text = g_string_new(NULL);
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].since > version) continue;
        g_string_append_printf(text, "%s=", fields[i].name);
        switch (fields[i].type) {
        case FIELD_TEXT: g_string_append(text, *text_at(record, i)); break;
        case FIELD_INT: g_string_append_printf(text, "%" G_GINT64_FORMAT, *int_at(record, i)); break;
        case FIELD_DOUBLE:
            g_string_append(text, g_ascii_dtostr(number, sizeof number, *double_at(record, i)));
            break;
        }
        g_string_append_c(text, '\n');
    }
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
}

static gboolean record_write(h5_file_t *file, record_t *record, GError **error) {
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        gboolean written = FALSE;
        switch (fields[i].type) {
        case FIELD_TEXT:
            written = h5_write_string(file, "/", fields[i].name, *text_at(record, i), error);
            break;
        case FIELD_INT: written = h5_write_int(file, "/", fields[i].name, *int_at(record, i), error); break;
        case FIELD_DOUBLE:
            written = h5_write_double(file, "/", fields[i].name, *double_at(record, i), error);
            break;
        }
        if (!written) return FALSE;
    }
    g_autofree char *checksum = record_checksum(record, CHECKPOINT_VERSION);
    return h5_write_string(file, "/", CHECKSUM, checksum, error);
}

/* What the file's version does not have yet stays 0. */
static gboolean record_read(h5_file_t *file, record_t *record, GError **error) {
    int64_t version = 0;
    if (!h5_read_int(file, "/", "version", &version, error)) return FALSE;
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        gboolean read = FALSE;
        if (fields[i].since > version) continue;
        switch (fields[i].type) {
        case FIELD_TEXT:
            read = (*text_at(record, i) = h5_read_string(file, "/", fields[i].name, error)) != NULL;
            break;
        case FIELD_INT: read = h5_read_int(file, "/", fields[i].name, int_at(record, i), error); break;
        case FIELD_DOUBLE:
            read = h5_read_double(file, "/", fields[i].name, double_at(record, i), error);
            break;
        }
        if (!read) return FALSE;
    }
    g_autofree char *stored = h5_read_string(file, "/", CHECKSUM, error);
    g_autofree char *computed = record_checksum(record, version);
    if (!stored || g_str_equal(stored, computed)) return stored != NULL;
    g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ,
                "%s: cannot read checkpoint: its attributes do not match their checksum; the file is "
                "damaged, use an older checkpoint",
                h5_file_path(file));
    return FALSE;
}

/* "256,128"; owner: caller. */
static char *sizes_text(const size_t *sizes, size_t n) {
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < n; i++) g_string_append_printf(text, "%s%zu", i ? "," : "", sizes[i]);
    return g_string_free(text, FALSE);
}

/* "16,128", "0" where there are none, "" of the dense model; owner: caller. */
static char *profiles_text(const model_config_t *model) {
    const sequence_sizes_t *sizes = &model->sequence;
    return model->kind == MODEL_SEQUENCE && !sizes->n_profiles
               ? g_strdup("0")
               : sizes_text(sizes->profiles, sizes->n_profiles);
}

static void record_from_checkpoint(record_t *record, const checkpoint_t *checkpoint,
                                   const optimizer_t *optimizer) {
    const model_config_t *model = &checkpoint->model;
    const sequence_sizes_t *sizes = &model->sequence;
    *record = (record_t){
        .model = g_strdup(model_kind_name(model->kind)),
        .loss = g_strdup(loss_names[model->loss]),
        .hidden = sizes_text(model->hidden, model->n_hidden),
        .lags = sizes_text(sizes->lags, sizes->n_lags),
        .profiles = profiles_text(model),
        .roles = grid_tracks_string(&checkpoint->grid),
        .meter = g_strdup_printf("%d/%d", checkpoint->meter.numerator, checkpoint->meter.denominator),
        .options = g_strdup(checkpoint->options ? checkpoint->options : ""),
        .corpus_id = g_strdup(checkpoint->corpus_id),
        .window = (int64_t)model->window,
        .tracks = (int64_t)model->tracks,
        .planes = (int64_t)model->planes,
        .pitches = (int64_t)model->pitches,
        .latent = (int64_t)model->latent,
        .steps_per_beat = checkpoint->grid.steps_per_beat,
        .pitch_low = checkpoint->grid.pitch_low,
        .fold_octaves = checkpoint->grid.fold_octaves,
        .sustain_pedal = checkpoint->grid.sustain_pedal,
        .seed = (int64_t)checkpoint->seed,
        .epoch = checkpoint->epoch,
        .step = checkpoint->step,
        .epoch_step = checkpoint->epoch_step,
        .batch = checkpoint->batch,
        .epoch_windows = (int64_t)checkpoint->so_far.windows,
        .best_epoch = checkpoint->best_epoch,
        .adam_step = optimizer->step,
        .averaged = optimizer->averaged,
        .tempo_bpm = checkpoint->tempo_bpm,
        .epoch_nll = checkpoint->so_far.nll,
        .epoch_kl = checkpoint->so_far.kl,
        .epoch_frames = checkpoint->so_far.frames,
        .epoch_segments = checkpoint->so_far.segments,
        .epoch_auxiliary = checkpoint->so_far.auxiliary,
        .best = checkpoint->best,
        .seconds = checkpoint->seconds,
        .segment = (int64_t)sizes->segment,
        .state = (int64_t)sizes->state,
        .encoder = (int64_t)sizes->encoder,
        .sketch = (int64_t)sizes->sketch,
        .nade = (int64_t)sizes->nade,
        .tied = (int64_t)sizes->tied,
        .posterior_hidden = (int64_t)sizes->posterior_hidden,
        .prior_hidden = (int64_t)sizes->prior_hidden,
        .sketch_hidden = (int64_t)sizes->sketch_hidden,
    };
}

/* Position of name in names, or -1. */
static int name_index(const char *name, const char *(*name_of)(int), int n) {
    for (int i = 0; i < n; i++)
        if (g_str_equal(name, name_of(i))) return i;
    return -1;
}
static const char *kind_name(int i) { return model_kind_name((model_kind_t)i); }
static const char *loss_name(int i) { return loss_names[i]; }

static gboolean in_range(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

/* The model's sizes, by its kind. Returns NULL, or the name of the attribute whose value cannot be. */
static const char *sizes_from_record(model_config_t *model, const record_t *record) {
    sequence_sizes_t *s = &model->sequence;
    const struct {
        const char *name;
        int64_t value;
        size_t *size;
    } sequence[] = {
        {"segment", record->segment, &s->segment},
        {"state", record->state, &s->state},
        {"encoder", record->encoder, &s->encoder},
        {"sketch", record->sketch, &s->sketch},
        {"nade", record->nade, &s->nade},
        {"tied", record->tied, &s->tied},
        {"posterior_hidden", record->posterior_hidden, &s->posterior_hidden},
        {"prior_hidden", record->prior_hidden, &s->prior_hidden},
        {"sketch_hidden", record->sketch_hidden, &s->sketch_hidden},
    };
    const gboolean dense = model->kind == MODEL_DENSE;
    if (!in_range(record->latent, dense, INT32_MAX)) return "latent";
    model->latent = (size_t)record->latent;
    for (size_t i = 0; !dense && i < G_N_ELEMENTS(sequence); i++) {
        if (!in_range(sequence[i].value, 1, INT32_MAX)) return sequence[i].name;
        *sequence[i].size = (size_t)sequence[i].value;
    }
    if (!dense) {
        if (!sizes_parse_lags(record->lags ? record->lags : LAGS_BEFORE_3, s->lags, &s->n_lags))
            return "lags";
        return sizes_parse_profiles(record->profiles ? record->profiles : PROFILES_BEFORE_4, s->profiles,
                                    &s->n_profiles)
                   ? NULL
                   : "profiles";
    }
    if (!in_range(record->window, 1, INT32_MAX)) return "window";
    model->window = (size_t)record->window;
    return sizes_parse_hidden(record->hidden, model->hidden, &model->n_hidden) ? NULL : "hidden";
}

/* The record as checkpoint_t, checked. Takes record->options. Returns NULL, or the name of the attribute
 * whose value cannot be. */
static const char *checkpoint_from_record(checkpoint_t *checkpoint, record_t *record) {
    const int kind = name_index(record->model, kind_name, MODEL_KINDS),
              loss = name_index(record->loss, loss_name, G_N_ELEMENTS(loss_names));
    unsigned numerator = 0, denominator = 0;
    if (kind < 0) return "model";
    if (loss < 0) return "loss";
    checkpoint->model.kind = (model_kind_t)kind;
    checkpoint->model.loss = (loss_t)loss;
    const char *wrong_size = sizes_from_record(&checkpoint->model, record);
    if (wrong_size) return wrong_size;
    if (!in_range(record->planes, 1, ROLL_PLANES)) return "planes";
    if (!in_range(record->pitches, 1, 128)) return "pitches";
    if (!in_range(record->pitch_low, 0, 128 - record->pitches)) return "pitch_low";
    if (!in_range(record->steps_per_beat, 1, 96)) return "steps_per_beat";
    if (!grid_set_tracks(&checkpoint->grid, record->roles, NULL)) return "roles";
    if (record->tracks != checkpoint->grid.n_tracks) return "tracks";
    if (kind == MODEL_SEQUENCE) model_order_tracks(&checkpoint->model, &checkpoint->grid);
    if (strlen(record->corpus_id) >= sizeof checkpoint->corpus_id) return "corpus_id";
    if (!isfinite(record->tempo_bpm) || record->tempo_bpm <= 0) return "tempo_bpm";
    if (sscanf(record->meter, "%3u/%3u", &numerator, &denominator) != 2 || !in_range(numerator, 1, 255) ||
        !in_range(denominator, 1, 255))
        return "meter";
    if (record->epoch < 0) return "epoch";
    if (record->step < 0) return "step";
    if (record->epoch_step < 0) return "epoch_step";
    if (record->adam_step < 0) return "adam_step";
    if (record->averaged < 0) return "averaged";
    checkpoint->model.tracks = (size_t)record->tracks;
    checkpoint->model.planes = (size_t)record->planes;
    checkpoint->model.pitches = (size_t)record->pitches;
    checkpoint->grid.steps_per_beat = (int)record->steps_per_beat;
    checkpoint->grid.pitch_low = (int)record->pitch_low;
    checkpoint->grid.pitches = (int)record->pitches;
    checkpoint->grid.fold_octaves = record->fold_octaves != 0;
    checkpoint->grid.sustain_pedal = record->sustain_pedal != 0;
    checkpoint->options = g_steal_pointer(&record->options);
    g_strlcpy(checkpoint->corpus_id, record->corpus_id, sizeof checkpoint->corpus_id);
    checkpoint->tempo_bpm = record->tempo_bpm;
    checkpoint->meter = (meter_t){.numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    checkpoint->seed = (uint64_t)record->seed;
    checkpoint->epoch = record->epoch;
    checkpoint->step = record->step;
    checkpoint->epoch_step = record->epoch_step;
    checkpoint->batch = record->batch;
    checkpoint->so_far = (training_sums_t){.windows = (double)record->epoch_windows,
                                           .frames = record->epoch_frames,
                                           .segments = record->epoch_segments,
                                           .nll = record->epoch_nll,
                                           .kl = record->epoch_kl,
                                           .auxiliary = record->epoch_auxiliary};
    checkpoint->best = record->best;
    checkpoint->best_epoch = record->best_epoch;
    checkpoint->seconds = record->seconds;
    return NULL;
}

h5_file_t *checkpoint_file_open(const char *path, GError **error) {
    g_autoptr(h5_file_t) file = h5_file_open(path, error);
    g_autofree char *format = file ? h5_read_string(file, "/", "format", error) : NULL;
    int64_t version;
    if (!format) return NULL;
    if (!g_str_equal(format, CHECKPOINT_FORMAT)) {
        g_set_error(
            error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
            "%s: cannot read checkpoint: the file is a '%s'; give a file that %s wrote, such as best.h5",
            path, format, program_called("trainer"));
        return NULL;
    }
    if (!h5_read_int(file, "/", "version", &version, error)) return NULL;
    if (version < 1 || version > CHECKPOINT_VERSION) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                    "%s: cannot read checkpoint: its format has version %" G_GINT64_FORMAT
                    ", this program reads up to %d; use a later mpianist",
                    path, version, CHECKPOINT_VERSION);
        return NULL;
    }
    return g_steal_pointer(&file);
}

/* optimizer: gets its counts of steps where not NULL. averaged: steps in the file's average. */
static gboolean read_record(h5_file_t *file, checkpoint_t *checkpoint, optimizer_t *optimizer,
                            int64_t *averaged, GError **error) {
    g_auto(record_t) record = {0};
    *checkpoint = (checkpoint_t){0};
    if (!record_read(file, &record, error)) return FALSE;
    const char *wrong = checkpoint_from_record(checkpoint, &record);
    if (wrong) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                    "%s: cannot read checkpoint: the value of attribute '%s' makes no sense; write it anew",
                    h5_file_path(file), wrong);
        return FALSE;
    }
    if (optimizer) optimizer->step = record.adam_step;
    *averaged = record.averaged;
    return TRUE;
}

gboolean checkpoint_read(const char *path, checkpoint_t *checkpoint, GError **error) {
    int64_t averaged;
    *checkpoint = (checkpoint_t){0};
    g_autoptr(h5_file_t) file = checkpoint_file_open(path, error);
    return file && read_record(file, checkpoint, NULL, &averaged, error);
}

/* Writes or reads every matrix of a block. */
static gboolean transfer_block(h5_file_t *file, gboolean write, const char *group, real_t *block,
                               const model_t *model, GError **error) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *name = g_strconcat(group, "/", table[i].name, NULL);
        real_t *matrix = block + table[i].offset;
        if (!(write ? h5_write_floats(file, name, matrix, table[i].rows, table[i].cols, error)
                    : h5_read_floats(file, name, matrix, table[i].rows, table[i].cols, error)))
            return FALSE;
    }
    return TRUE;
}

h5_file_t *checkpoint_file_create(const char *path, const checkpoint_t *checkpoint, model_t *model,
                                  const optimizer_t *optimizer, GError **error) {
    g_auto(record_t) record;
    record_from_checkpoint(&record, checkpoint, optimizer);
    g_autoptr(h5_file_t) file = h5_file_create(path, error);
    if (!file || !h5_write_string(file, "/", "format", CHECKPOINT_FORMAT, error) ||
        !h5_write_int(file, "/", "version", CHECKPOINT_VERSION, error) ||
        !h5_write_string(file, "/", "tool", "mpianist-trainer " MPIANIST_VERSION, error) ||
        !record_write(file, &record, error) ||
        !transfer_block(file, TRUE, "/weights", model_params(model), model, error) ||
        !transfer_block(file, TRUE, "/adam/m", optimizer->m, model, error) ||
        !transfer_block(file, TRUE, "/adam/v", optimizer->v, model, error) ||
        (optimizer->averaged > 0 &&
         !transfer_block(file, TRUE, "/average", optimizer->average, model, error)))
        return NULL;
    return g_steal_pointer(&file);
}

gboolean checkpoint_write(const char *path, const checkpoint_t *checkpoint, model_t *model,
                          const optimizer_t *optimizer, GError **error) {
    h5_file_t *file = checkpoint_file_create(path, checkpoint, model, optimizer, error);
    return file && h5_file_commit(file, error);
}

/* FALSE with CHECKPOINT_ERROR_SHAPE set where the models differ: the first difference, with both values. */
static gboolean check_shape(const char *path, const model_config_t *there, const model_config_t *here,
                            GError **error) {
    g_autofree char *hidden_there = sizes_text(there->hidden, there->n_hidden),
                    *hidden_here = sizes_text(here->hidden, here->n_hidden);
    g_autofree char *lags_there = sizes_text(there->sequence.lags, there->sequence.n_lags),
                    *lags_here = sizes_text(here->sequence.lags, here->sequence.n_lags);
    g_autofree char *profiles_there = profiles_text(there), *profiles_here = profiles_text(here);
    const struct {
        const char *name, *text_there, *text_here;
        size_t there, here;
    } parts[] = {
        {"model", model_kind_name(there->kind), model_kind_name(here->kind), 0, 0},
        {"loss", loss_names[there->loss], loss_names[here->loss], 0, 0},
        {"window", NULL, NULL, there->window, here->window},
        {"hidden", hidden_there, hidden_here, 0, 0},
        {"latent", NULL, NULL, there->latent, here->latent},
        {"planes", there->planes == 1 ? "sounding" : "both", here->planes == 1 ? "sounding" : "both", 0, 0},
        {"tracks", NULL, NULL, there->tracks, here->tracks},
        {"pitches", NULL, NULL, there->pitches, here->pitches},
        {"segment", NULL, NULL, there->sequence.segment, here->sequence.segment},
        {"state", NULL, NULL, there->sequence.state, here->sequence.state},
        {"encoder", NULL, NULL, there->sequence.encoder, here->sequence.encoder},
        {"sketch", NULL, NULL, there->sequence.sketch, here->sequence.sketch},
        {"nade", NULL, NULL, there->sequence.nade, here->sequence.nade},
        {"tied", NULL, NULL, there->sequence.tied, here->sequence.tied},
        {"lags", lags_there, lags_here, 0, 0},
        {"profiles", profiles_there, profiles_here, 0, 0},
        {"posterior-hidden", NULL, NULL, there->sequence.posterior_hidden, here->sequence.posterior_hidden},
        {"prior-hidden", NULL, NULL, there->sequence.prior_hidden, here->sequence.prior_hidden},
        {"sketch-hidden", NULL, NULL, there->sequence.sketch_hidden, here->sequence.sketch_hidden},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (parts[i].there == parts[i].here && g_strcmp0(parts[i].text_there, parts[i].text_here) == 0)
            continue;
        g_autofree char *old =
            parts[i].text_there ? g_strdup(parts[i].text_there) : g_strdup_printf("%zu", parts[i].there);
        g_autofree char *new =
            parts[i].text_here ? g_strdup(parts[i].text_here) : g_strdup_printf("%zu", parts[i].here);
        gboolean of_data = g_str_equal(parts[i].name, "tracks") || g_str_equal(parts[i].name, "pitches");
        g_autofree char *way_out = of_data ? g_strdup("preprocess the songs alike")
                                           : g_strdup_printf("use --%s %s", parts[i].name, old);
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE,
                    "%s: checkpoint has %s %s, the run asks for %s; %s or another --output", path,
                    parts[i].name, old, new, way_out);
        return FALSE;
    }
    return TRUE;
}

/* Opens a checkpoint of a model of the same shape; the rest as read_record(). NULL with error set. */
static h5_file_t *open_state(const char *path, const model_t *model, optimizer_t *optimizer,
                             int64_t *averaged, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(h5_file_t) file = checkpoint_file_open(path, error);
    if (!file || !read_record(file, &checkpoint, optimizer, averaged, error) ||
        !check_shape(path, &checkpoint.model, model_config(model), error))
        return NULL;
    return g_steal_pointer(&file);
}

gboolean checkpoint_read_state(const char *path, model_t *model, optimizer_t *optimizer, GError **error) {
    int64_t averaged = 0;
    g_autoptr(h5_file_t) file = open_state(path, model, optimizer, &averaged, error);
    if (!file || !transfer_block(file, FALSE, "/weights", model_params(model), model, error) ||
        !transfer_block(file, FALSE, "/adam/m", optimizer->m, model, error) ||
        !transfer_block(file, FALSE, "/adam/v", optimizer->v, model, error))
        return FALSE;
    optimizer->averaged = optimizer->average ? averaged : 0;
    return optimizer->averaged == 0 ||
           transfer_block(file, FALSE, "/average", optimizer->average, model, error);
}

gboolean checkpoint_read_weights(const char *path, model_t *model, GError **error) {
    int64_t averaged = 0;
    g_autoptr(h5_file_t) file = open_state(path, model, NULL, &averaged, error);
    return file && transfer_block(file, FALSE, averaged > 0 ? "/average" : "/weights", model_params(model),
                                  model, error);
}

char *checkpoint_hash(const char *path, GError **error) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guchar buffer[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t n = 0;
    while (file && (n = fread(buffer, 1, sizeof buffer, file)) > 0)
        g_checksum_update(checksum, buffer, (gssize)n);
    gboolean failed = !file || ferror(file);
    int cause = errno;
    if (file) fclose(file);
    if (failed) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "%s: cannot read checkpoint: %s", path,
                    g_strerror(cause));
        return NULL;
    }
    return g_strndup(g_checksum_get_string(checksum), 16);
}
