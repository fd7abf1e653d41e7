/* Tests of preprocess/deflate against HDF5's own filters: the same bytes, whatever the data and the number
 * of threads. */
#include "preprocess/shard/deflate.h"

#include <glib/gstdio.h>
#include <string.h>

#include "preprocess/shard/h5.h"

enum { LEVEL = 6 };

typedef struct {
    hid_t dataset;
    hsize_t rows;    /* of a chunk */
    size_t next;     /* chunk to come */
    size_t stop;     /* chunk to fail at */
    GThread *thread; /* that calls */
} writer_t;

static gboolean write_chunk(gpointer user, size_t index, const uint8_t *bytes, size_t size) {
    writer_t *writer = user;
    const hsize_t offset[2] = {index * writer->rows, 0};
    g_assert_cmpuint(index, ==, writer->next++);
    g_assert_true(g_thread_self() == writer->thread);
    return index != writer->stop && H5Dwrite_chunk(writer->dataset, H5P_DEFAULT, 0, offset, size, bytes) >= 0;
}

/* A file with a matrix of bytes, by HDF5's filters (threads 0) or by deflate_chunks(). */
static void write_file(const char *path, const uint8_t *data, hsize_t rows, hsize_t columns,
                       hsize_t chunk_rows, int threads) {
    g_autoptr(GError) error = NULL;
    const hsize_t size[2] = {rows, columns}, chunk[2] = {chunk_rows, columns};
    h5_file_t *file = h5_file_create(path, &error);
    g_assert_no_error(error);
    {
        g_auto(h5_id_t) space = H5Screate_simple(2, size, NULL);
        g_auto(h5_id_t) creation = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_obj_track_times(creation, FALSE);
        g_assert_true(H5Pset_chunk(creation, 2, chunk) >= 0 && H5Pset_deflate(creation, LEVEL) >= 0 &&
                      H5Pset_fletcher32(creation) >= 0);
        g_auto(h5_id_t) dataset =
            H5Dcreate2(h5_file_id(file), "/bytes", H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
        g_assert_true(dataset >= 0);
        writer_t writer = {
            .dataset = dataset, .rows = chunk_rows, .stop = SIZE_MAX, .thread = g_thread_self()};
        if (threads == 0)
            g_assert_true(H5Dwrite(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
        else
            g_assert_true(deflate_chunks(data, rows * columns, chunk_rows * columns, LEVEL, threads,
                                         write_chunk, &writer));
    }
    g_assert_true(h5_file_commit(file, NULL, &error));
    g_assert_no_error(error);
}

/* HDF5 undoes both filters, and checks the sums, as it reads. */
static void assert_reads(const char *path, const uint8_t *data, size_t bytes) {
    g_autoptr(GError) error = NULL;
    g_autoptr(h5_file_t) file = h5_file_open(path, &error);
    g_assert_no_error(error);
    g_auto(h5_id_t) dataset = H5Dopen2(h5_file_id(file), "/bytes", H5P_DEFAULT);
    g_autofree uint8_t *read = g_malloc(bytes);
    g_assert_true(H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, read) >= 0);
    g_assert_true(memcmp(read, data, bytes) == 0);
}

/* Bytes from sparse (like a roll) to random (which deflate cannot make smaller). */
static uint8_t *make_data(size_t bytes, double density) {
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)bytes);
    uint8_t *data = g_malloc0(bytes);
    for (size_t i = 0; i < bytes; i++)
        if (g_rand_double(random) < density) data[i] = (uint8_t)g_rand_int(random);
    return data;
}

static void test_same_as_hdf5(void) {
    static const struct {
        hsize_t rows, columns, chunk_rows;
        double density;
    } cases[] = {
        {1, 1, 1, 1},         {1, 22, 1, 0},     {100, 22, 100, 0.05},    {101, 22, 100, 0.05},
        {5000, 22, 33, 0.02}, {5000, 22, 33, 1}, {20000, 22, 5957, 0.05}, {20000, 22, 5957, 1},
        {4001, 1, 1000, 0.5}, {4000, 1, 7, 0.5},
    };
    g_autofree char *folder = g_dir_make_tmp("deflate-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "x.h5", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const size_t bytes = cases[i].rows * cases[i].columns;
        g_autofree uint8_t *data = make_data(bytes, cases[i].density);
        g_autofree char *wanted = NULL;
        gsize wanted_size = 0;
        write_file(path, data, cases[i].rows, cases[i].columns, cases[i].chunk_rows, 0);
        g_assert_true(g_file_get_contents(path, &wanted, &wanted_size, NULL));
        for (int threads = 1; threads <= 5; threads += 2) {
            g_autofree char *got = NULL;
            gsize size = 0;
            write_file(path, data, cases[i].rows, cases[i].columns, cases[i].chunk_rows, threads);
            g_assert_true(g_file_get_contents(path, &got, &size, NULL));
            g_assert_cmpuint(size, ==, wanted_size);
            g_assert_true(memcmp(got, wanted, size) == 0);
            assert_reads(path, data, bytes);
        }
    }
    g_unlink(path);
    g_rmdir(folder);
}

static gboolean count_until(gpointer user, size_t index, const uint8_t *bytes, size_t size) {
    writer_t *writer = user;
    (void)bytes, (void)size;
    writer->next++;
    return index != writer->stop;
}

/* A writer that fails is not called again, and nothing hangs. */
static void test_stop(void) {
    const size_t bytes = 100000;
    g_autofree uint8_t *data = make_data(bytes, 0.5);
    for (size_t stop = 0; stop < 100; stop += 33) {
        writer_t writer = {.stop = stop};
        g_assert_false(deflate_chunks(data, bytes, 1000, LEVEL, 2, count_until, &writer));
        g_assert_cmpuint(writer.next, ==, stop + 1);
    }
    g_assert_true(deflate_chunks(data, 0, 1000, LEVEL, 2, count_until, NULL));
}

/* The check value that catalogues of CRCs give; in parts as in one. */
static void test_crc32(void) {
    g_assert_cmphex(deflate_crc32(0, "123456789", 9), ==, 0xCBF43926);
    g_assert_cmphex(deflate_crc32(deflate_crc32(0, "1234", 4), "56789", 5), ==, 0xCBF43926);
    g_assert_cmphex(deflate_crc32(7, "", 0), ==, 7);
    g_assert_cmphex(deflate_crc32(7, NULL, 0), ==, 7);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/deflate/same-as-hdf5", test_same_as_hdf5);
    g_test_add_func("/deflate/stop", test_stop);
    g_test_add_func("/deflate/crc32", test_crc32);
    return g_test_run();
}
