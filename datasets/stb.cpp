// The one place where the stb libraries are compiled. Only JPEG and PNG: the formats for which images.cpp can
// tell a damaged file, which stb itself would fill with grey.
//
// Memory for decoding starts as zeros: a damaged JPEG may use Huffman tables that it never defined.
#include <cstdlib>

#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC(p, bytes) std::realloc(p, bytes)
#define STBI_FREE(p) std::free(p)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
