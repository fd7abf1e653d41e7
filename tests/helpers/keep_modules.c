/* Linked into programs of the sanitizer build: MPI's modules stay loaded to the end, so that
 * tests/helpers/leaks.supp can name them in reports of leaks. */
int dlclose(void *handle);

int dlclose(void *handle) {
    (void)handle;
    return 0;
}
