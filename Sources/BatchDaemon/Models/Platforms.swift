// The platforms that this program was built with.

import HostDevice
import TTNNDevice
public import TTPlatform

/// Every platform there is, best first: `device: auto` takes the first that has a device.
public enum Platforms {
    /// Tenstorrent hardware where there is some, else the CPU.
    public static let all = PlatformCatalogue([TTNNPlatform(), HostPlatform()])
}
