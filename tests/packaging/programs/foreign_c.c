/* An extension of somebody else, in C: it asks lists and stores through cidrmatch.h. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "cidrmatch.h"

static const CidrmatchApi *cidrmatch;

static PyObject *contains(PyObject *self, PyObject *args) {
    PyObject *allow;
    const char *text;
    Py_ssize_t length;
    const void *list;
    int answer;
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#", &allow, &text, &length) || !(list = cidrmatch->list_of(allow))) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    answer = cidrmatch->contains(list, text, length);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(answer);
}

static PyObject *contains_packed(PyObject *self, PyObject *args) {
    PyObject *allow;
    const char *packed;
    Py_ssize_t length;
    const void *list;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy#", &allow, &packed, &length) || !(list = cidrmatch->list_of(allow))) {
        return NULL;
    }
    return PyLong_FromLong(cidrmatch->contains_packed(list, (const uint8_t *)packed, length));
}

static PyObject *check(PyObject *self, PyObject *args) {
    PyObject *store;
    const char *key, *text;
    Py_ssize_t key_length, length;
    const void *block;
    int verdict;
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#s#", &store, &key, &key_length, &text, &length)
        || !(block = cidrmatch->store_of(store))) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    verdict = cidrmatch->check(block, key, key_length, text, length);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(verdict);
}

static PyMethodDef methods[] = {
    {"contains", contains, METH_VARARGS, NULL},
    {"contains_packed", contains_packed, METH_VARARGS, NULL},
    {"check", check, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "foreign_c", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_foreign_c(void) {
    cidrmatch = cidrmatch_import();
    return cidrmatch == NULL ? NULL : PyModule_Create(&module);
}
