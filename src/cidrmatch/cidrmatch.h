/* The C interface of cidrmatch, for other extensions: questions without Python objects.
 *
 *     static const CidrmatchApi *cidrmatch;                       once, with the interpreter lock:
 *     cidrmatch = cidrmatch_import();                             NULL and an exception if there is none
 *     const void *list = cidrmatch->list_of(allow);               an AllowList's table, as long as the object lives
 *
 *     if (cidrmatch->contains(list, text, length) == 1) ...       without the lock, from any thread
 *
 * An answer is 1 for yes, 0 for no, and CIDRMATCH_INVALID for a text that is no
 * address.  CIDRMATCH_INVALID is not 0, so always compare an answer with 1.
 * Texts need no NUL at the end.  No function keeps its arguments, and none
 * allocates memory.
 *
 * A KeyStore is one version of the keys.  It does not know the file that it
 * came from, so it cannot know how old its data is; an `Engine` that follows
 * the file knows.  If you use `engine.view.store`, ask `engine.is_stale` as
 * well, for each request.
 */
#ifndef CIDRMATCH_H
#define CIDRMATCH_H

#include <Python.h>
#include <stdint.h>

#define CIDRMATCH_API_VERSION 1
#define CIDRMATCH_INVALID (-1)

/* The answers of `check`; the names are those of `cidrmatch.Reason`.  Up to CIDRMATCH_LAST_ALLOWED the request
 * passes. */
enum {
    CIDRMATCH_UNRESTRICTED,
    CIDRMATCH_MATCHED,
    CIDRMATCH_NOT_ENFORCED,
    CIDRMATCH_NOT_LISTED,
    CIDRMATCH_DENIED_BY_ENTRY,
    CIDRMATCH_CLIENT_IP_UNKNOWN,
    CIDRMATCH_EMPTY_LIST,
    CIDRMATCH_INACTIVE,
    CIDRMATCH_UNKNOWN_KEY,
    CIDRMATCH_DAMAGED,
    CIDRMATCH_STALE_DATA,           /* an answer of an engine, never of a store */
    CIDRMATCH_ASK_ENGINE,           /* the key has more to it than its entries: named lists, conditions */
    CIDRMATCH_LAST_ALLOWED = CIDRMATCH_NOT_ENFORCED
};

typedef struct {
    int version;                    /* CIDRMATCH_API_VERSION; later ones only add at the end */
    /* With the interpreter lock: the table of an AllowList, the block of a KeyStore; NULL and TypeError for others. */
    const void *(*list_of)(PyObject *allow);
    const void *(*store_of)(PyObject *store);
    /* Without it: is the address in the list?  As text, or 4 or 16 bytes in network order. */
    int (*contains)(const void *list, const char *text, Py_ssize_t length);
    int (*contains_packed)(const void *list, const uint8_t *packed, Py_ssize_t length);
    /* May the address use the key?  A CIDRMATCH_... of above. */
    int (*check)(const void *store, const char *key, Py_ssize_t key_length, const char *text, Py_ssize_t length);
} CidrmatchApi;

static inline const CidrmatchApi *cidrmatch_import(void) {
    const CidrmatchApi *api = (const CidrmatchApi *)PyCapsule_Import("cidrmatch._keys.capi._API", 0);
    if (api != NULL && api->version < CIDRMATCH_API_VERSION) {
        PyErr_SetString(PyExc_ImportError, "this cidrmatch is older than the header");
        return NULL;
    }
    return api;
}

#endif
