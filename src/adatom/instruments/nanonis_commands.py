"""The commands of the Nanonis programming interface that are used here: what goes in and what comes back.

Fields are written as `adatom.instruments.nanonis_wire` reads them; lengths are in m.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One line of the table.

    Parameters
    ----------
    takes, gives : fields of request and answer.
    is_question : it changes nothing, so that it can be asked again after an answer that was lost.
    """

    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    is_question: bool = False


def _set(*takes: str) -> Command:
    return Command(takes=takes)


def _get(*gives: str, takes: tuple[str, ...] = ()) -> Command:
    return Command(takes=takes, gives=gives, is_question=True)


COMMANDS = {
    "Bias.Set": _set("f"),
    "Bias.Get": _get("f"),
    "Current.Get": _get("f"),
    "ZCtrl.OnOffSet": _set("I"),
    "ZCtrl.OnOffGet": _get("I"),
    "ZCtrl.ZPosGet": _get("f"),
    "ZCtrl.Withdraw": _set("I", "i"),  # wait until it is done, time-out [ms]
    "SafeTip.OnOffSet": _set("H"),  # 1 on, 2 off
    "SafeTip.OnOffGet": _get("H"),  # 1 on, 0 off
    "Motor.StopMove": _set(),
    "Piezo.RangeGet": _get("f", "f", "f"),
    "Signals.NamesGet": _get("s*"),
    "Signals.ValGet": _get("f", takes=("i", "I")),
    "FolMe.SpeedSet": _set("f", "I"),  # [m/s], 1 for a speed of its own
    "FolMe.SpeedGet": _get("f", "I"),
    "FolMe.XYPosSet": _set("d", "d", "I"),  # x, y, wait until it is there
    "FolMe.XYPosGet": _get("d", "d", takes=("I",)),
    "FolMe.Stop": _set(),
    "Scan.FrameSet": _set("f", "f", "f", "f", "f"),  # centre, width, height, angle [deg]
    "Scan.FrameGet": _get("f", "f", "f", "f", "f"),
    "Scan.BufferSet": _set("i*", "i", "i"),  # channels, pixels, lines
    "Scan.BufferGet": _get("i*", "i", "i"),
    "Scan.SpeedSet": _set(
        "f", "f", "f", "f", "H", "f"
    ),  # [m/s] and [s] a line, there and back; 2 keeps the times; ratio
    "Scan.SpeedGet": _get("f", "f", "f", "f", "H", "f"),
    "Scan.Action": _set("H", "I"),  # 0 start, 1 stop; 0 downwards
    "Scan.StatusGet": _get("I"),
    "Scan.WaitEndOfScan": Command(("i",), ("I", "s")),  # time-out [ms]; whether it came, path of the file
    "Scan.FrameDataGrab": _get("s", "f**", "I", takes=("I", "I")),  # name, values, 1 if upwards; of channel, 1 forward
    "BiasSpectr.Open": _set(),
    "BiasSpectr.Stop": _set(),
    "BiasSpectr.StatusGet": _get("I"),
    "BiasSpectr.ChsSet": _set("i*"),
    "BiasSpectr.PropsSet": _set("H", "i", "H", "i", "f", "H", "H"),
    "BiasSpectr.AdvPropsSet": _set("H", "H", "H", "H"),
    "BiasSpectr.LimitsSet": _set("f", "f"),
    "BiasSpectr.LimitsGet": _get("f", "f"),
    "BiasSpectr.TimingSet": _set("f", "f", "f", "f", "f", "f", "f", "f"),
    "BiasSpectr.TimingGet": _get("f", "f", "f", "f", "f", "f", "f", "f"),
    "BiasSpectr.MLSModeSet": _set("s"),  # Linear, MLS
    "BiasSpectr.MLSModeGet": _get("s"),
    "BiasSpectr.MLSValsSet": _set("i", "f#", "f#", "f#", "f#", "f#", "i#", "I#"),
    "BiasSpectr.MLSValsGet": _get("i", "f#", "f#", "f#", "f#", "f#", "i#", "I#"),
    "BiasSpectr.Start": Command(("I", "s"), ("s*", "f**", "f*")),  # whether data are wanted, name of the file
}
