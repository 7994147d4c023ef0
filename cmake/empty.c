/* empty.c - gives a library that is made of other libraries, or whose folder has no file yet, something to compile. */
typedef int tl_empty_unit;
