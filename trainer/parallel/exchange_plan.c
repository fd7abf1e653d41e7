/* exchange_plan: owns all arithmetic of the exchange. Without grains each rank is a leaf of the tree of sums,
 * and each host a subtree, of as many leaves as the largest host needs, so that it sends one sum. With grains
 * the leaves are grains, whoever has them, and a host sends as many sums as its range has whole subtrees. */
#include "trainer/parallel/exchange_plan.h"

#include <limits.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"

enum { MAX_NODES = 128 };

/* Fills in hosts, sizes, positions: ranks that passed the same key make a host. */
static void find_hosts(exchange_plan_t *plan, int one_host) {
    const int size = comm_size(), rank = comm_rank();
    const int64_t group = one_host > 0 ? comm_node_rank() / one_host : 0;
    g_autofree int64_t *keys = g_new(int64_t, size);
    const int64_t key = comm_node_leader() * (int64_t)size + group;
    comm_gather(&key, sizeof key, keys);
    g_autofree int *host_of = g_new(int, size);
    plan->firsts = g_new0(int, size + 1);
    plan->ranks = g_new(int, size);
    for (int r = 0; r < size; r++) {
        int earlier = 0;
        while (keys[earlier] != keys[r]) earlier++;
        host_of[r] = earlier == r ? plan->hosts++ : host_of[earlier];
        plan->firsts[host_of[r] + 1]++;
    }
    plan->carriers = INT_MAX;
    for (int h = 0; h < plan->hosts; h++) {
        plan->carriers = MIN(plan->carriers, plan->firsts[h + 1]);
        plan->firsts[h + 1] += plan->firsts[h];
    }
    g_autofree int *next = g_memdup2(plan->firsts, (size_t)plan->hosts * sizeof(int));
    for (int r = 0; r < size; r++) {
        if (r == rank) plan->host_index = next[host_of[r]] - plan->firsts[host_of[r]];
        plan->ranks[next[host_of[r]]++] = r;
    }
    plan->host = host_of[rank];
    plan->host_size = plan->firsts[plan->host + 1] - plan->firsts[plan->host];
}

/* Appends the subtrees that have exactly the leaves [first, end). */
static void append_cut(size_t first, size_t end, GArray *nodes) {
    sum_node_t found[MAX_NODES];
    g_array_append_vals(nodes, found, (guint)sum_order_cut(first, end, found));
}

/* Without grains: a leaf a rank, `width` a host. */
static void plan_ranks(exchange_plan_t *plan, GArray *ranks, GArray *hosts) {
    int largest = 1;
    for (int h = 0; h < plan->hosts; h++) largest = MAX(largest, plan->firsts[h + 1] - plan->firsts[h]);
    const size_t width = sum_order_root((size_t)largest).count;
    for (size_t i = 0; i < (size_t)plan->host_size; i++) {
        const sum_node_t leaf = {(size_t)plan->host * width + i, 1};
        g_array_append_val(ranks, leaf);
        plan->rank_node_firsts[i + 1] = ranks->len;
    }
    for (size_t h = 0; h < (size_t)plan->hosts; h++) {
        const sum_node_t node = {h * width, width};
        g_array_append_val(hosts, node);
        plan->host_node_firsts[h + 1] = hosts->len;
    }
    plan->root = sum_order_root(width * (size_t)plan->hosts);
    plan->grain_first = (size_t)(plan->firsts[plan->host] + plan->host_index);
    plan->grains = 1;
}

/* The first grain of a position. */
static size_t first_grain(size_t grains, int position) {
    return grains * (size_t)position / (size_t)comm_size();
}

static void plan_grains(exchange_plan_t *plan, size_t grains, GArray *ranks, GArray *hosts) {
    const int here = plan->firsts[plan->host];
    for (int i = 0; i < plan->host_size; i++) {
        append_cut(first_grain(grains, here + i), first_grain(grains, here + i + 1), ranks);
        plan->rank_node_firsts[i + 1] = ranks->len;
    }
    plan->root = sum_order_root(grains);
    for (int h = 0; h < plan->hosts; h++) {
        if (plan->hosts == 1)
            g_array_append_val(hosts, plan->root); /* nothing leaves: one sum, of all */
        else
            append_cut(first_grain(grains, plan->firsts[h]), first_grain(grains, plan->firsts[h + 1]), hosts);
        plan->host_node_firsts[h + 1] = hosts->len;
    }
    plan->grain_first = first_grain(grains, here + plan->host_index);
    plan->grains = first_grain(grains, here + plan->host_index + 1) - plan->grain_first;
}

static void plan_tree(exchange_plan_t *plan, size_t grains) {
    GArray *ranks = g_array_new(FALSE, FALSE, sizeof(sum_node_t)),
           *hosts = g_array_new(FALSE, FALSE, sizeof(sum_node_t));
    plan->rank_node_firsts = g_new0(size_t, plan->host_size + 1);
    plan->host_node_firsts = g_new0(size_t, plan->hosts + 1);
    if (grains > 0)
        plan_grains(plan, grains, ranks, hosts);
    else
        plan_ranks(plan, ranks, hosts);
    plan->rank_nodes = (sum_node_t *)(void *)g_array_free(ranks, FALSE);
    plan->host_nodes = (sum_node_t *)(void *)g_array_free(hosts, FALSE);
}

gboolean exchange_plan_init(exchange_plan_t *plan, int grains, int one_host, GError **error) {
    *plan = (exchange_plan_t){0};
    if (grains > 0 && grains < comm_size())
        return program_fail(error, "%d ranks for %d grains: each needs one at least; start fewer ranks",
                            comm_size(), grains);
    find_hosts(plan, one_host);
    plan_tree(plan, (size_t)grains);
    return TRUE;
}

void exchange_plan_clear(exchange_plan_t *plan) {
    g_free(plan->firsts);
    g_free(plan->ranks);
    g_free(plan->rank_nodes);
    g_free(plan->rank_node_firsts);
    g_free(plan->host_nodes);
    g_free(plan->host_node_firsts);
}

size_t exchange_plan_bucket(const exchange_plan_t *plan, size_t bucket_bytes) {
    const size_t row = EXCHANGE_CHUNK * (size_t)plan->carriers,
                 most = COMM_EAGER_BYTES / sizeof(float) * (size_t)plan->carriers * (size_t)plan->hosts,
                 elements = CLAMP(bucket_bytes / sizeof(float), 1, (size_t)INT_MAX / 4),
                 rows = (elements + row - 1) / row;
    return plan->hosts == 1 ? rows * row : MIN(rows, MAX(most / row, 1)) * row;
}

exchange_piece_t exchange_plan_piece(const exchange_plan_t *plan, size_t n, size_t bucket, size_t index) {
    if (plan->host_index >= plan->carriers) return (exchange_piece_t){0};
    const size_t start = bucket * index, end = MIN(n, start + bucket),
                 chunks = (end - start + EXCHANGE_CHUNK - 1) / EXCHANGE_CHUNK,
                 carriers = (size_t)plan->carriers, carrier = (size_t)plan->host_index;
    const size_t first = MIN(end, start + chunks * carrier / carriers * EXCHANGE_CHUNK),
                 next = MIN(end, start + chunks * (carrier + 1) / carriers * EXCHANGE_CHUNK);
    return (exchange_piece_t){.first = first, .count = next - first};
}

size_t exchange_plan_part(const exchange_plan_t *plan, const exchange_piece_t *piece, int host) {
    if (host == plan->hosts) return piece->count;
    return piece->count * (size_t)host / (size_t)plan->hosts / EXCHANGE_ALIGN * EXCHANGE_ALIGN;
}
