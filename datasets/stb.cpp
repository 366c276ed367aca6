// The one place where the stb libraries are compiled. Only JPEG and PNG: the formats for which images.cpp can
// tell a damaged file, which stb itself would fill with grey.
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
