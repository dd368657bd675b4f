#include "keep/place.h"

#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8 && sizeof(ino_t) == 8, "files of any size and number are found, on 32 bit too");

static bool
place_is_abstract(const char *path)
{
	return path[0] != '/';
}

void
place_of(const char *path, struct place *ret_place)
{
	struct stat st;

	*ret_place = (struct place){ 0 };
	if (!place_is_abstract(path) && lstat(path, &st) == 0)
		*ret_place = (struct place){ .device = st.st_dev, .inode = st.st_ino };
}

bool
place_is_at(const struct place *place, const char *path)
{
	struct stat st;

	if (place_is_abstract(path))
		return true;
	if (lstat(path, &st) == -1)
		return false;
	return place->inode == 0 ? S_ISSOCK(st.st_mode) : st.st_dev == place->device && st.st_ino == place->inode;
}

void
place_unlink(const struct place *place, const char *path)
{
	if (!place_is_abstract(path) && place_is_at(place, path))
		unlink(path);
}
