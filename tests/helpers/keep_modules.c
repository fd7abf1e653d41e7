/* keep_modules: linked into programs of the sanitizer build, keeps MPI's modules loaded to the end, so that
 * tests/helpers/leaks.supp can name them in reports of leaks. */
int dlclose(void *handle);

int dlclose(void *handle) {
    (void)handle;
    return 0;
}
