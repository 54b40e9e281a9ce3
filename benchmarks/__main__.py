"""``python -m benchmarks`` lists the benchmarks, ``python -m benchmarks NAME`` runs one."""

import sys
from importlib import import_module

from benchmarks.record import Recorder, write_results_page

BENCHMARKS = {
    "readers": "every file of ../shared/data that holds an image: shape, pixel size, unit",
    "fuzz_readers": "10,000 damaged files: an image or one clear error, soon and in little memory",
    "si111_real_image": "the real Si(111)-7x7 image: network, classical and plain local maxima against marks by eye",
    "simulated_images": "the models that ship on simulated images they have not seen",
    "simulate_speed": "images that the generator draws a second, alone and in two processes; its memory",
    "stem_against_multislice": "the fast STEM engine beside abTEM on hBN, MoS2 and SrTiO3 (extra multislice)",
    "store_memory": "reading a stored training set that is larger than what is kept of it",
    "scale": "images of 4096 px a side and more by tiles: time, memory, AtomAI on the same (make peers, 13 GB)",
    "speed": "simulation, training and finding, in time",
    "finder_simulated": "the finder that ships on two-atom honeycombs it has not seen: scales and faults",
    "detection_against_dose": "columns found at 1 to 30 counts, light ones beside heavy ones, calibration (make peers)",
    "familiarity": "whether images unlike the training are told from images like it: textures, noise, real images",
    "segmenter_against_atomai": "a Segmenter and AtomAI trained on the same images, and the speed of both (make peers)",
    "mos2_real_images": "the finder that ships on real MoS2 against lattice-guided sites; calibration by the lattice",
    "real_atoms": "single Pt atoms, and Pt and Re molecules, against marks of experts: zero-shot, fine-tuned",
    "ws2_defects": "the model of WS2 with its point defects: classes on simulated images and on real MoS2",
    "ablation": "what each randomisation of the simulated images is worth, on simulated and on real MoS2",
    "error_over_bound": "positions of simulated columns over the Cramer-Rao bound, and their error bars (make peers)",
    "neighbourhoods": "strain, rings, dislocations, vacancies; real MoS2, Si(111) and Pt; speed (make peers)",
    "match": "recipes matched to images: coverage of the estimates, and whether simulated crops can be told from real",
    "ensemble_cost": "time and memory of ensembles beside one model, and AtomAI's in the same run (make peers)",
    "ensemble_drift": "ensembles under drifting conditions: F1, whether doubts rank errors, coverage of species sets",
    "movie_events": "atoms that come and go in simulated movies, against dose; a real movie",
    "relaxed_flake": "graphene with a vacancy: found, relaxed, and its bonds against those of the true atoms relaxed",
    "spectra_simulated": "spectra from images of simulated domains: R2 against its ceiling, coverage of error bars",
    "spectra_beps": "real hysteresis loops from a map: blocked folds, baselines, descriptors, AtomAI (make peers)",
    "ensemble_against_atomai": "ensembles of five beside AtomAI's of five: F1, ranking of errors and time of training",
    "real_pt_elit": "Pt atoms without marks: the model that ships, an ensemble on its trunk, and the ensemble adapted",
    "digits": "rotated digits by a variational autoencoder: angles, content, time, AtomAI (make peers)",
    "atomic_movie": "switching dopants and growing vacancies in graphene: states, transitions, tracks, drift",
    "particles": "simulated particles that touch: average precision and mean diameter, by threshold and by network",
    "two_frameworks": "a regressor of two layers in PyTorch and in Keras: the same loss at the end (extra keras)",
    "onnx_speed": "finding through ONNX Runtime and OpenVINO beside eager torch: time, and the same atoms (extra fast)",
    "decision": "one decision among 2,500 candidates: time, error, and error bars beside AtomAI's deep kernel",
    "engines": "ways to run a network, in 32, 16 and 8 bits: time, atoms lost, gained and moved (extra fast)",
    "inference_rate": "how much of the machine's rate of matrix products the networks reach when they predict",
    "denoising": "denoisers on simulated STEM images: PSNR, SSIM, what find makes of them, risk (extra wavelets)",
    "instrument_faults": "a hostile policy on instruments that fail: moves outside limits, foreign errors, left safe",
    "experiment_faults": "experiments killed, cut off and told nonsense: what is lost, repeated, or moved too far",
    "automated_search": "real loops played back: measurements that each policy needs, for a map and for the top 1 %",
    "stream": "a movie from disk to its table of atoms, without refinement: frames a second",
    "movies": "long movies: frames a second, memory against length; many files: what reports cost; latency of a burst",
    "cluster": "finding on a dask cluster: two workers against one, and what a killed worker costs (extra cluster)",
    "demo": "the time that `adatom demo` takes from scratch",
}


def main(arguments: list[str]) -> int:
    if not arguments:
        for name, what in BENCHMARKS.items():
            print(f"make bench NAME={name:20s} {what}")
        return 0
    name = arguments[0]
    if name not in BENCHMARKS:
        print(f"benchmarks: expected one of {', '.join(BENCHMARKS)}, got {name}", file=sys.stderr)
        return 2
    recorder = Recorder(command=f"make bench NAME={name}")
    import_module(f"benchmarks.{name}").run(recorder)
    recorder.save()
    write_results_page()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
