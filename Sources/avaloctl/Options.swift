import ArgumentParser
import AvaloClient
import AvaloKeys

/// Which configuration folder is meant.
struct ConfigOption: ParsableArguments {
  @Option(
    name: .customLong("config"),
    help: "The configuration folder (default: $AVALO_CONFIG_DIR, ./.avalo/config, /etc/avalo).")
  var directory: String?

  var path: String { directory ?? Places.configFolder() }
  var keys: KeyFolder { KeyFolder(path) }
}

/// Where clients and servers are answered.
struct ServerOption: ParsableArguments {
  @Option(name: .customLong("url"), help: "The server (default: $AVALO_URL, http://127.0.0.1:8480).")
  var url: String?

  func endpoint() throws -> Endpoint {
    let url = url ?? Places.url()
    guard let endpoint = Endpoint(url: url) else {
      throw ToolError.usage("\(url) is not a URL like http://127.0.0.1:8480")
    }
    return endpoint
  }
}

/// Where avalod answers its operator.
struct ControlOption: ParsableArguments {
  @Option(
    name: .customLong("control"),
    help: "avalod's control socket (default: $AVALO_RUNTIME_DIR/control.sock, ./.avalo/run, /run/avalo).")
  var socket: String?

  var path: String { socket ?? Places.controlSocket() }
  var control: Control { Control(socket: path) }
}

/// How the answer is written: every command that answers something has it.
struct OutputOption: ParsableArguments {
  @Flag(help: "Print JSON.") var json = false
}
