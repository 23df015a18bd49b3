// A V4L2 camera for OpenCV, loaded with LD_PRELOAD: it plays the files of the folder FAKE_V4L2_FRAMES, 0000.jpg and so
// on, 30 a second and again from the first, at the device FAKE_V4L2_DEVICE. What is in a file is what is in the buffer:
// an empty file is an empty buffer, one of the size 1 is a read that fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SIZE (1 << 20)
#define BUFFERS 4

static int device = -1, frame, first, queued[BUFFERS];
static unsigned char *buffers[BUFFERS];

static int is_ours(const char *path) {
  const char *ours = getenv("FAKE_V4L2_DEVICE");
  return ours && !strcmp(path, ours);
}

static int open_ours(void) {
  device = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  memset(queued, 0, sizeof queued);
  frame = first = 0;
  return device;
}

#define OPEN(name)                                              \
  int name(const char *path, int flags, ...) {                  \
    va_list more;                                               \
    va_start(more, flags);                                      \
    int mode = va_arg(more, int);                               \
    va_end(more);                                               \
    if (is_ours(path)) return open_ours();                      \
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
    return real(path, flags, mode);                             \
  }
OPEN(open)
OPEN(open64)

void *mmap(void *at, size_t length, int protection, int flags, int file, off_t offset) {
  void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
  if (file < 0 || file != device) return real(at, length, protection, flags, file, offset);
  return buffers[offset / SIZE] = real(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap64(void *at, size_t length, int protection, int flags, int file, off64_t offset) {
  return mmap(at, length, protection, flags, file, offset);
}

static FILE *next_file(void) {
  char name[512];
  FILE *file;
  do {
    snprintf(name, sizeof name, "%s/%04d.jpg", getenv("FAKE_V4L2_FRAMES"), frame++);
    file = fopen(name, "rb");
    if (!file) frame = 0;
  } while (!file);
  return file;
}

static void again_in(long nanoseconds) {
  struct itimerspec due = {{0, nanoseconds}, {0, nanoseconds}};
  timerfd_settime(device, 0, &due, 0);
}

static int fail(int error) {
  errno = error;
  return -1;
}

static int fill(struct v4l2_buffer *given) {
  uint64_t due;
  struct timespec now;
  int index = first;
  if (read(device, &due, sizeof due) != sizeof due || !queued[index]) return fail(EAGAIN);
  FILE *file = next_file();
  memset(buffers[index], 0, SIZE);
  size_t size = fread(buffers[index], 1, SIZE, file);
  fclose(file);
  if (size == 1) return fail(EIO);
  queued[index] = 0;
  first = (index + 1) % BUFFERS;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *given = (struct v4l2_buffer){.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = index,
    .bytesused = size, .length = SIZE, .m.offset = index * SIZE, .flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
    .timestamp = {now.tv_sec, now.tv_nsec / 1000}};
  return 0;
}

static int answer(unsigned request, void *argument) {
  switch (request) {
  case VIDIOC_QUERYCAP: {
    struct v4l2_capability *can = argument;
    memset(can, 0, sizeof *can);
    can->capabilities = can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    return 0;
  }
  case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT: {
    struct v4l2_pix_format *format = &((struct v4l2_format *)argument)->fmt.pix;
    format->width = 320, format->height = 240, format->pixelformat = V4L2_PIX_FMT_MJPEG;
    format->field = V4L2_FIELD_NONE, format->sizeimage = SIZE, format->bytesperline = 0;
    return 0;
  }
  case VIDIOC_G_PARM: case VIDIOC_S_PARM: {
    struct v4l2_captureparm *can = &((struct v4l2_streamparm *)argument)->parm.capture;
    can->capability = V4L2_CAP_TIMEPERFRAME;
    can->timeperframe = (struct v4l2_fract){1, 30};
    return 0;
  }
  case VIDIOC_REQBUFS: {
    struct v4l2_requestbuffers *wanted = argument;
    if (wanted->count > BUFFERS) wanted->count = BUFFERS;
    return 0;
  }
  case VIDIOC_QUERYBUF: {
    struct v4l2_buffer *told = argument;
    told->length = SIZE, told->m.offset = told->index * SIZE;
    return 0;
  }
  case VIDIOC_ENUMINPUT: return ((struct v4l2_input *)argument)->index ? fail(EINVAL) : 0;
  case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
  case VIDIOC_S_INPUT: return 0;
  case VIDIOC_QBUF: queued[((struct v4l2_buffer *)argument)->index] = 1; return 0;
  case VIDIOC_DQBUF: return fill(argument);
  case VIDIOC_STREAMON: again_in(33333333); return 0;
  case VIDIOC_STREAMOFF: again_in(0); return 0;
  default: return fail(EINVAL);
  }
}

int ioctl(int file, unsigned long request, ...) {
  va_list more;
  va_start(more, request);
  void *argument = va_arg(more, void *);
  va_end(more);
  if (file >= 0 && file == device) return answer(request, argument);
  int (*real)(int, unsigned long, void *) = dlsym(RTLD_NEXT, "ioctl");
  return real(file, request, argument);
}
