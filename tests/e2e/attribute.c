/* Prints an extended attribute of a file as hex: `attribute NAME PATH`. */
#include <stdio.h>
#include <sys/xattr.h>

int main(int count, char **arguments) {
  unsigned char value[4096];
  const ssize_t length = count == 3 ? lgetxattr(arguments[2], arguments[1], value, sizeof value) : -1;
  if (length < 0) perror("attribute");
  for (ssize_t at = 0; at < length; at++) printf("%02x", value[at]);
  return length < 0;
}
