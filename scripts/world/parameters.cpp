// What the page calls of the vocoder WORLD, with the parameters that pyworld takes by default.
// Spectra are rows of `count_bins()` numbers, one row for each 5 ms.

#include <cstdlib>
#include <new>

#include "world/cheaptrick.h"
#include "world/d4c.h"
#include "world/dio.h"
#include "world/stonemask.h"
#include "world/synthesis.h"

namespace {
constexpr int kRate = 16000;         // Hz
constexpr double kPeriod = 5.0;      // ms
constexpr double kLowestPitch = 71.0;  // Hz

CheapTrickOption MakeOption() {
  CheapTrickOption option;
  InitializeCheapTrickOption(kRate, &option);
  option.f0_floor = kLowestPitch;
  option.fft_size = GetFFTSizeForCheapTrick(kRate, &option);
  return option;
}

double **SplitRows(double *numbers, int rows, int columns) {
  double **starts = new double *[rows];
  for (int row = 0; row < rows; ++row) starts[row] = numbers + row * columns;
  return starts;
}
}  // namespace

// Without memory the program stops; the library's own way out would print, and print needs files.
void *operator new(std::size_t bytes) {
  void *place = std::malloc(bytes);
  if (!place) __builtin_trap();
  return place;
}
void *operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void *place) noexcept { std::free(place); }
void operator delete[](void *place) noexcept { std::free(place); }
void operator delete(void *place, std::size_t) noexcept { std::free(place); }
void operator delete[](void *place, std::size_t) noexcept { std::free(place); }

extern "C" {
// Rows of the parameters of so many samples.
int count_frames(int samples) { return GetSamplesForDIO(kRate, samples, kPeriod); }

int count_bins() { return MakeOption().fft_size / 2 + 1; }

// Sound -> its pitch, spectral envelopes and aperiodicities.
void analyse(const double *sound, int samples, double *pitch, double *envelopes,
             double *aperiodicities) {
  const int frames = count_frames(samples);
  const CheapTrickOption option = MakeOption();
  const int bins = option.fft_size / 2 + 1;
  double *rough = new double[frames];
  double *times = new double[frames];
  DioOption dio;
  InitializeDioOption(&dio);
  dio.channels_in_octave = 2.0;
  dio.f0_floor = kLowestPitch;
  dio.f0_ceil = 800.0;
  dio.frame_period = kPeriod;
  dio.speed = 1;
  dio.allowed_range = 0.1;
  Dio(sound, samples, kRate, &dio, times, rough);
  StoneMask(sound, samples, kRate, times, rough, frames, pitch);
  double **rows = SplitRows(envelopes, frames, bins);
  CheapTrick(sound, samples, kRate, times, pitch, frames, &option, rows);
  delete[] rows;
  D4COption d4c;
  InitializeD4COption(&d4c);
  d4c.threshold = 0.85;
  rows = SplitRows(aperiodicities, frames, bins);
  D4C(sound, samples, kRate, times, pitch, frames, option.fft_size, &d4c, rows);
  delete[] rows;
  delete[] times;
  delete[] rough;
}

// Parameters -> sound of `frames` times 5 ms.
void synthesise(const double *pitch, int frames, double *envelopes, double *aperiodicities,
                double *sound) {
  const int bins = count_bins();
  double **envelope = SplitRows(envelopes, frames, bins);
  double **aperiodicity = SplitRows(aperiodicities, frames, bins);
  Synthesis(pitch, frames, envelope, aperiodicity, 2 * (bins - 1), kPeriod, kRate,
            static_cast<int>(frames * kPeriod * kRate / 1000), sound);
  delete[] aperiodicity;
  delete[] envelope;
}
}
