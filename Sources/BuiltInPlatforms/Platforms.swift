// The platforms that this program was built with.

import HostDevice
public import Platform
import TTNNDevice
public import TTNNSettings

extension PlatformCatalogue {
    /// Every platform that there is, best first: `device: auto` takes the first that has a device. That is Tenstorrent hardware
    /// where there is any, else the CPU.
    ///
    /// - Parameter bridge: the `bridge:` section of the configuration.
    public static func all(_ bridge: BridgeConfiguration) -> PlatformCatalogue {
        PlatformCatalogue([TTNNPlatform(bridge), HostPlatform()])
    }
}
