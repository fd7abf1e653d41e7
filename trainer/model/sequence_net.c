/* sequence_net: owns the layers of the sequence model: their table, names and initial values, and the small
 * functions that training and streaming share. Refuses sizes that are too large together. */
#include "trainer/model/sequence_net.h"

#include <math.h>
#include <string.h>

#include "trainer/model/fast_math.h"
#include "trainer/model/layers.h"

#define MAX_ELEMENTS     ((double)INT32_MAX) /* of an array: BLAS counts in int */
#define POSTERIOR_LOGVAR (-3)                /* initial logvar: latents carry information from the start */
#define POSTERIOR_SCALE  0.3
#define PRIOR_SCALE      0.1

gboolean sequence_net_check(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    const sequence_sizes_t *sizes = &config->sequence;
    if (!sizes_check_range("frames a pass", max_frames, 1, INT32_MAX, error)) return FALSE;
    if (config->loss != LOSS_BCE) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: the sequence model has a likelihood, no squared error; use --loss bce");
        return FALSE;
    }
    if (sizes->tied_first + sizes->tied_pitches > config->pitches ||
        (sizes->memory + sizes->note > 0 && sizes->tied_pitches == 0)) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: pitches %zu to %zu of %zu cannot have a memory", sizes->tied_first,
                    sizes->tied_first + sizes->tied_pitches, config->pitches);
        return FALSE;
    }
    if (sizes->performance > 0 && config->planes < ROLL_PLANES) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: --performance plays onsets, which --planes sounding does not learn; use --planes "
                    "both");
        return FALSE;
    }
    if (sizes->n_bar_lags > 0 && sizes->bar == 0) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: lags in bars need the place in the bar; give --bar FRAMES, too");
        return FALSE;
    }
    const size_t rows = max_frames + max_B * sizes->segment;
    const size_t widest = MAX(MAX(head_columns(config), 4 * sizes->memory * sizes->tied_pitches),
                              MAX(4 * sizes->state, sizes->segment * sizes->sketch));
    if ((double)rows * (double)widest <= MAX_ELEMENTS) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                "model: a pass of %zu frames with %zu values each is too large; choose a smaller batch, "
                "shorter --chunk or more accumulation",
                rows, widest);
    return FALSE;
}

static void add_latent_layers(const model_config_t *config, GArray *table) {
    const sequence_sizes_t *sizes = &config->sequence;
    const size_t Z = config->latent, U = sizes->sketch, D = model_cells(config);
    model_add_gru(table, "encoder.forward.input", "encoder.forward", D, sizes->encoder);
    model_add_gru(table, "encoder.backward.input", "encoder.backward", D, sizes->encoder);
    model_add_linear(table, "posterior.0", 2 * sizes->encoder, sizes->posterior_hidden);
    model_add_linear(table, "posterior.1", sizes->posterior_hidden, 2 * Z);
    model_add_linear(table, "prior.0", sizes->state, sizes->prior_hidden);
    model_add_linear(table, "prior.1", sizes->prior_hidden, 2 * Z);
    model_add_linear(table, "sketch.0", Z, sizes->sketch_hidden);
    model_add_linear(table, "sketch.1", sizes->sketch_hidden, sizes->segment * U);
    model_add_linear(table, "auxiliary", U, D);
    model_add_param(table, "decoder.sketch", "weight", U, GATES * sizes->state,
                    (param_init_t){.bound = 1.0 / sqrt((double)sizes->state)});
}

void sequence_net_lay_out(const model_config_t *config, GArray *table) {
    const sequence_sizes_t *sizes = &config->sequence;
    const size_t H = sizes->state, U = config->latent ? sizes->sketch : 0;
    if (config->latent) add_latent_layers(config, table);
    model_add_gru(table, "decoder.input", "decoder", model_cells(config), H);
    model_add_param(table, "decoder.phase", "weight", sizes->segment, GATES * H,
                    (param_init_t){.bound = 1.0 / sqrt((double)H)});
    if (sizes->bar > 0)
        model_add_param(table, "decoder.bar", "weight", place_table_rows(config), GATES * H,
                        (param_init_t){0});
    model_add_param(table, "decoder.start", "state", 1, H, (param_init_t){0});
    model_add_linear(table, "head.output", H + U, head_columns(config));
    head_lay_out(config, table);
    memory_lay_out(config, table);
    performance_lay_out(config, table);
}

void sequence_net_find(sequence_net_t *net, const model_blocks_t *blocks) {
    net->report = blocks->report;
    if (net->Z) {
        net->encoder_input[0] = model_find_linear(blocks, "encoder.forward.input");
        net->encoder_input[1] = model_find_linear(blocks, "encoder.backward.input");
        net->encoder[0] = model_find_gru(blocks, "encoder.forward");
        net->encoder[1] = model_find_gru(blocks, "encoder.backward");
        linear_t *const pairs[] = {net->posterior, net->prior, net->sketch};
        static const char *const names[][2] = {
            {"posterior.0", "posterior.1"}, {"prior.0", "prior.1"}, {"sketch.0", "sketch.1"}};
        for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
            for (size_t j = 0; j < 2; j++) pairs[i][j] = model_find_linear(blocks, names[i][j]);
        net->auxiliary = model_find_linear(blocks, "auxiliary");
        net->from_sketch = model_find_linear(blocks, "decoder.sketch");
    }
    net->input = model_find_linear(blocks, "decoder.input");
    net->phase = model_find_linear(blocks, "decoder.phase");
    if (net->config.sequence.bar > 0) net->bar = model_find_linear(blocks, "decoder.bar");
    net->decoder = model_find_gru(blocks, "decoder");
    net->h0 = model_find_param(blocks, "decoder.start", "state", &net->dh0);
    net->output = model_find_linear(blocks, "head.output");
    head_find(net->head, &net->config, blocks);
    if (net->memory) memory_find(net->memory, blocks);
    if (net->performance) performance_find(net->performance, blocks);
}

gboolean sequence_net_init(sequence_net_t *net, const model_config_t *config, const model_blocks_t *blocks,
                           GError **error) {
    const sequence_sizes_t *sizes = &config->sequence;
    *net = (sequence_net_t){.config = *config,
                            .Z = config->latent,
                            .S = sizes->segment,
                            .H = sizes->state,
                            .E = sizes->encoder,
                            .U = config->latent ? sizes->sketch : 0,
                            .D = model_cells(config),
                            .head = head_new(config, blocks, error)};
    if (!net->head) return FALSE;
    if (sizes->memory && !(net->memory = memory_new(config, blocks, error))) return FALSE;
    if (sizes->performance) net->performance = performance_new(config, blocks);
    sequence_net_find(net, blocks);
    return TRUE;
}

void sequence_net_clear(sequence_net_t *net) {
    g_clear_pointer(&net->head, head_free);
    g_clear_pointer(&net->memory, memory_free);
    g_clear_pointer(&net->performance, performance_free);
}

/* Layers point to const parameters; these initial values, before training, are the one exception. */
static void scale_layer(const linear_t *layer, size_t first_column, double scale, double bias) {
    real_t *W = (real_t *)(guintptr)layer->W, *b = (real_t *)(guintptr)layer->bias;
    for (size_t i = 0; i < layer->inputs; i++)
        for (size_t j = first_column; j < layer->outputs; j++) W[i * layer->outputs + j] *= (real_t)scale;
    for (size_t j = first_column; j < layer->outputs; j++) b[j] = (real_t)bias;
}

void sequence_net_start(const sequence_net_t *net) {
    head_start(net->head);
    memory_start(net->memory);
    if (!net->Z) return;
    scale_layer(&net->posterior[1], net->Z, POSTERIOR_SCALE, POSTERIOR_LOGVAR);
    scale_layer(&net->prior[1], 0, PRIOR_SCALE, 0);
}

void sequence_net_start_log_odds(const sequence_net_t *net, const double *log_odds) {
    real_t *const biases[] = {(real_t *)(guintptr)net->output.bias, (real_t *)(guintptr)net->auxiliary.bias};
    for (size_t i = 0; i < G_N_ELEMENTS(biases); i++)
        for (size_t d = 0; biases[i] && d < net->D; d++) biases[i][d] = (real_t)log_odds[d];
}

static void tanh_rows(real_t *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = hyperbolic_tangent(y[i]);
}

void sequence_mlp_forward(const linear_t layers[2], const real_t *x, real_t *hidden, real_t *y,
                          const rows_t *rows) {
    linear_forward(&layers[0], x, hidden, rows);
    tanh_rows(hidden, rows->n * layers[0].outputs);
    linear_forward(&layers[1], hidden, y, rows);
}

void sequence_mlp_backward(const linear_t layers[2], const real_t *x, real_t *hidden, real_t *dhidden,
                           const real_t *dy, real_t *dx, const rows_t *rows, const model_report_t *report) {
    const size_t n = rows->n * layers[0].outputs;
    linear_backward(&layers[1], hidden, dy, dhidden, 0, rows, report);
    for (size_t i = 0; i < n; i++) dhidden[i] *= 1 - hidden[i] * hidden[i];
    linear_backward(&layers[0], x, dhidden, dx, 0, rows, report);
}

void sequence_add_place(const sequence_net_t *net, const place_t *place, real_t *x) {
    const size_t X = GATES * net->H;
    for (size_t row = 0; net->config.sequence.bar > 0 && row < PLACE_ROWS; row++)
        for (size_t i = 0; i < X; i++) x[i] += net->bar.W[place->rows[row] * X + i];
}

LAYERS_WIDE void sequence_add_cells(const model_config_t *config, const uint8_t *frame,
                                    const real_t *restrict W, real_t *restrict y, size_t N) {
    const size_t P = config->pitches, stride = roll_stride(P), rows = config->tracks * config->planes;
    for (size_t r = 0; r < rows; r++, frame += stride) {
        for (size_t i = 0; i < stride; i++) {
            for (unsigned byte = frame[i]; byte; byte &= byte - 1) {
                const size_t p = 8 * i + (size_t)__builtin_ctz(byte);
                if (p >= P) break;
                const real_t *row = W + (r * P + p) * N;
                for (size_t n = 0; n < N; n++) y[n] += row[n];
            }
        }
    }
}

void sequence_sketch_forward(const sequence_net_t *net, const real_t *z, real_t *hidden, real_t *u,
                             const rows_t *rows) {
    sequence_mlp_forward(net->sketch, z, hidden, u, rows);
    tanh_rows(u, rows->n * net->S * net->U);
}

void sequence_split_moments(const real_t *moments, real_t *mu, real_t *logvar, size_t B, size_t Z) {
    for (size_t b = 0; b < B; b++) {
        memcpy(mu + b * Z, moments + 2 * b * Z, Z * sizeof *mu);
        for (size_t i = 0; i < Z; i++) {
            const real_t raw = moments[(2 * b + 1) * Z + i];
            logvar[b * Z + i] = raw < SEQUENCE_LOGVAR_MIN   ? SEQUENCE_LOGVAR_MIN
                                : raw > SEQUENCE_LOGVAR_MAX ? SEQUENCE_LOGVAR_MAX
                                                            : raw;
        }
    }
}

void sequence_kl(const real_t *mu_q, const real_t *lv_q, const real_t *mu_p, const real_t *lv_p, double *kl,
                 size_t B, size_t Z) {
    for (size_t b = 0; b < B; b++) {
        double sum = 0;
        for (size_t i = b * Z; i < (b + 1) * Z; i++) {
            const double distance = (double)mu_q[i] - (double)mu_p[i],
                         gap = (double)lv_q[i] - (double)lv_p[i];
            sum += distance * distance * exp(-(double)lv_p[i]) + expm1(gap) - gap;
        }
        kl[b] = 0.5 * sum;
    }
}
