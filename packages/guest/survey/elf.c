/* What an executable says of itself: which loader it wants, and which kernel. Nothing in it is believed. */
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "survey.h"

enum { MAX_HEADERS = 64, NOTE_BYTES = 4096 };

static void take_note(const unsigned char *notes, size_t n, struct elf *elf) {
  for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= n;) {
    Elf64_Nhdr head;
    memcpy(&head, notes + at, sizeof head);
    size_t name = at + sizeof head, body = name + (((size_t)head.n_namesz + 3) & ~(size_t)3);
    size_t next = body + (((size_t)head.n_descsz + 3) & ~(size_t)3);
    if (head.n_namesz > n || head.n_descsz > n || next > n) return;
    if (head.n_type == NT_GNU_ABI_TAG && head.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 && head.n_descsz >= 16) {
      uint32_t words[4];
      memcpy(words, notes + body, sizeof words);
      if (words[0] == 0) snprintf(elf->kernel, sizeof elf->kernel, "%u.%u.%u", words[1], words[2], words[3]);
    }
    at = next;
  }
}

void look_at_elf(int fd, struct elf *elf) {
  Elf64_Ehdr head;
  unsigned char notes[NOTE_BYTES];
  *elf = (struct elf){0};
  ssize_t have = pread(fd, &head, sizeof head, 0);
  elf->is_script = have >= 2 && memcmp(&head, "#!", 2) == 0;
  if (have != sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64) return;
  elf->is_elf = true;
  for (int i = 0; i < head.e_phnum && i < MAX_HEADERS; i++) {
    Elf64_Phdr part;
    if (pread(fd, &part, sizeof part, (off_t)(head.e_phoff + (Elf64_Off)i * sizeof part)) != sizeof part) return;
    if (part.p_type == PT_INTERP && part.p_filesz > 0 && part.p_filesz < sizeof elf->loader) {
      ssize_t n = pread(fd, elf->loader, part.p_filesz, (off_t)part.p_offset);
      elf->loader[n < 0 ? 0 : n] = '\0';
    }
    if (part.p_type == PT_NOTE) {
      ssize_t n = pread(fd, notes, part.p_filesz < sizeof notes ? part.p_filesz : sizeof notes, (off_t)part.p_offset);
      if (n > 0) take_note(notes, (size_t)n, elf);
    }
  }
}
