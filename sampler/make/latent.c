/* latent: owns the geometry of latent space: draws from the prior, great circles, random paths, vectors as
 * text. Refuses text that is not a whole vector. */
#include "sampler/make/latent.h"

#include <math.h>

#include "preprocess/common/option.h"

/* Sines below this are rounding, not a direction. */
static const double PARALLEL = 1e-6;

void latent_prior(uint64_t seed, uint64_t index, double temperature, real_t *z, size_t Z) {
    const rng_t rng = rng_make(seed, RNG_PRIOR, 0, index);
    rng_normal(&rng, z, Z);
    for (size_t i = 0; i < Z; i++) z[i] = (real_t)(temperature * z[i]);
}

static double dot(const real_t *a, const real_t *b, size_t Z) {
    double sum = 0;
    for (size_t i = 0; i < Z; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* A unit vector at right angles to the unit vector a / length: the axis on which a is shortest, without its
 * part along a. */
static void perpendicular(const real_t *a, double length, double *w, size_t Z) {
    size_t axis = 0;
    for (size_t i = 1; i < Z; i++)
        if (fabs((double)a[i]) < fabs((double)a[axis])) axis = i;
    const double along = a[axis] / length, norm = sqrt(fmax(0, 1 - along * along));
    for (size_t i = 0; i < Z; i++) w[i] = ((i == axis) - along * a[i] / length) / norm;
}

void latent_slerp(const real_t *a, const real_t *b, double t, real_t *z, size_t Z) {
    const double length_a = sqrt(dot(a, a, Z)), length_b = sqrt(dot(b, b, Z)),
                 length = (1 - t) * length_a + t * length_b;
    const double cosine =
        length_a > 0 && length_b > 0 ? CLAMP(dot(a, b, Z) / (length_a * length_b), -1, 1) : 1;
    g_autofree double *w = g_new(double, Z); /* unit vector in the plane, at right angles to a */
    double sine = 0;
    for (size_t i = 0; i < Z && length_a > 0 && length_b > 0; i++) {
        w[i] = b[i] / length_b - cosine * a[i] / length_a;
        sine += w[i] * w[i];
    }
    sine = sqrt(sine);
    const gboolean antipodal = sine < PARALLEL && cosine < 0 && Z > 1;
    if (antipodal) perpendicular(a, length_a, w, Z);
    const double angle = antipodal ? G_PI : atan2(sine, cosine);
    for (size_t i = 0; i < Z; i++) {
        if (t <= 0 || t >= 1)
            z[i] = t <= 0 ? a[i] : b[i];
        else if (sine < PARALLEL && !antipodal)
            z[i] = (real_t)((1 - t) * a[i] + t * b[i]);
        else
            z[i] = (real_t)(length * (cos(t * angle) * a[i] / length_a +
                                      sin(t * angle) * w[i] / (antipodal ? 1 : sine)));
    }
}

void latent_path(uint64_t seed, uint64_t index, double temperature, double correlation, real_t *z, size_t n,
                 size_t Z) {
    const double fresh = temperature * sqrt(1 - correlation * correlation);
    for (size_t k = 0; k < n; k++) {
        const rng_t rng = rng_make(seed, RNG_PRIOR, 1 + index, k);
        real_t *now = z + k * Z;
        rng_normal(&rng, now, Z);
        for (size_t i = 0; i < Z; i++)
            now[i] = (real_t)(k == 0 ? temperature * now[i] : correlation * now[i - Z] + fresh * now[i]);
    }
}

char *latent_to_text(const real_t *z, size_t Z) {
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < Z; i++) {
        char number[G_ASCII_DTOSTR_BUF_SIZE];
        g_string_append_printf(text, "%s%s", i > 0 ? "," : "",
                               g_ascii_formatd(number, sizeof number, "%.9g", z[i]));
    }
    return g_string_free(text, FALSE);
}

gboolean latent_from_text(const char *text, real_t *z, size_t Z, GError **error) {
    g_auto(GStrv) parts = g_strsplit_set(text, ", \t\n", -1);
    size_t n = 0;
    for (char **part = parts; *part; part++) {
        if (**part == '\0') continue;
        char *end;
        const double value = g_ascii_strtod(*part, &end);
        if (*end != '\0' || !isfinite((real_t)value))
            return option_fail(error, "--latent: '%s' is not a number; give %zu %s, separated by commas",
                               *part, Z, g_dngettext(NULL, "number", "numbers", Z));
        if (n < Z) z[n] = (real_t)value;
        n++;
    }
    if (n == Z) return TRUE;
    return option_fail(error, "--latent: %zu %s given, but this model's latent vectors have %zu", n,
                       g_dngettext(NULL, "number", "numbers", n), Z);
}
