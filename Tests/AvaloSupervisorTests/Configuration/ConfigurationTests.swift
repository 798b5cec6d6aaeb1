import AvaloSystem
import AvaloTesting
import Glibc
import Testing

@testable import AvaloSupervisor

@Suite struct ConfigurationTests {
  let folder = TestFolder()

  func context(_ environment: [String: String] = [:], userID: UInt32 = 1000) -> ConfigurationContext {
    ConfigurationContext(
      environment: environment, workingDirectory: "/base", executableDirectory: folder.path, processors: 4,
      userID: userID)
  }

  /// Reads files by their names; problems come back with the folder's name cut off.
  func read(_ files: KeyValuePairs<String, String>, _ environment: [String: String] = [:]) throws -> Configuration {
    try folder.write("#!/bin/sh\n", to: "worker", executable: true)
    for (name, text) in files { try folder.write(text, to: name) }
    return try Configuration.read(directory: folder.path, context: context(environment))
  }

  func problems(_ files: KeyValuePairs<String, String>, _ environment: [String: String] = [:]) throws -> [String] {
    do {
      _ = try read(files, environment)
      return []
    } catch let error as ConfigurationError {
      return error.problems.map { $0.description.replacing("\(folder.path)/", with: "") }
    }
  }

  @Test func everythingHasADefault() throws {
    let configuration = try read(["workers.d/shell.yaml": "executable: worker"])
    #expect(configuration.runtimeDirectory == "/base/.avalo/run")
    #expect(configuration.stateDirectory == "/base/.avalo/state")
    #expect("\(configuration.admin)" == "127.0.0.1:8481")
    #expect(configuration.controlSocket == "/base/.avalo/run/control.sock")
    #expect(configuration.controlMode == 0o600)
    #expect(configuration.logDestination == nil)
    let worker = try #require(configuration.worker("shell"))
    #expect(
      worker
        == WorkerManifest(
          name: "shell", executable: "\(folder.path)/worker", arguments: [], instances: 1, required: true, check: nil,
          metrics: false, sockets: [], environment: [:], user: nil, limits: [], watchdog: nil,
          startTimeout: .seconds(30), reload: .restart,
          restart: RestartDelays(min: .milliseconds(100), max: .seconds(10)),
          drain: DrainPolicy(order: 50, deadline: .seconds(10)), status: [], settings: Array("{}".utf8)))
  }

  /// `conf.d` is for what others than the author of avalo.yaml say: in the order of names, over it, under the environment.
  @Test func dropInsGoOverTheMainFile() throws {
    let configuration = try read(
      [
        "workers.d/shell.yaml": "executable: worker\nsettings: {a: 1, b: {x: 1, y: 1, z: 1}}",
        "avalo.yaml": "log: {level: debug}\nworkers: {shell: {settings: {b: {x: 2, y: 2}}}}",
        "conf.d/50-b.yaml": "log: {level: error}\nworkers: {shell: {settings: {b: {y: 4}}}}",
        "conf.d/10-a.yaml": "workers: {shell: {settings: {b: {y: 3}, c: 3}}}",
        "conf.d/.hidden.yaml": "log: {level: loud}",
      ], ["AVALO_WORKERS__SHELL__SETTINGS__C": "5"])
    #expect(configuration.logLevel == .error)
    let settings = try SettingsNode(json: try #require(configuration.worker("shell")).settings)
    #expect(settings["a"]?.value == .integer(1) && settings["c"]?.value == .integer(5))
    let inner = try #require(settings["b"])
    #expect(inner["x"]?.value == .integer(2) && inner["y"]?.value == .integer(4) && inner["z"]?.value == .integer(1))
    #expect(
      try problems(["conf.d/50-b.yaml": "log: {level: error}\nlogg: 1", "conf.d/x.yml": ""]) == [
        "conf.d/x.yml: would not be read: its name must end in .yaml",
        "conf.d/50-b.yaml:2: logg: unknown key; did you mean \"log\"?",
      ])
    #expect(
      try problems(["conf.d/50-b.yaml": "control: {group: nobody-has-this}", "conf.d/x.yml": ""]).last
        == "conf.d/50-b.yaml:1: control.group: there is no group \"nobody-has-this\"")
  }

  @Test func anEmptyFolderIsAService() throws {
    #expect(try read([:]).workers.isEmpty)
  }

  @Test func readsAWholeManifest() throws {
    let text = """
      name: gateway
      executable: worker
      arguments: [--fast, "7"]
      instances: auto
      enabled: true
      required: false
      check: [--check]
      metrics: true
      sockets:
        client: {listen: "127.0.0.1:8480", per_instance: true, backlog: 100}
        tls: {listen: "[::]:8443", encrypted: true}
        open: {listen: "0.0.0.0:80", allow_plaintext: true}
        link: {listen: "unix:g.sock", mode: "0660"}
        other: {listen: "unix:/run/x.sock"}
      environment: {A: b, N: 5, T: true}
      limits: {open_files: 20000, core: unlimited}
      watchdog: 10s
      start_timeout: 1m30s
      reload: signal
      restart: {min: 50ms, max: 1m}
      drain: {order: 10, deadline: 30s}
      status: [{series: a_total, label: a/s, rate: true}]
      settings: {ping: 25s, list: [1, 2.5, {x: null}], yes: no}

      """
    let worker = try #require(
      try read(["workers.d/gateway.yaml": text], ["RUNTIME_DIRECTORY": "/run/avalo:/run/other"]).worker("gateway"))
    #expect(worker.arguments == ["--fast", "7"])
    #expect(worker.instances == 4)
    #expect(!worker.required)
    #expect(worker.check == ["--check"])
    #expect(
      worker.sockets.map {
        "\($0.name) \($0.address) \($0.perInstance) \($0.encrypted) \($0.backlog) \(String($0.mode, radix: 8))"
      }
        == [
          "client 127.0.0.1:8480 true false 100 600", "tls [::]:8443 false true 4096 600",
          "open 0.0.0.0:80 false false 4096 600", "link unix:/run/avalo/g.sock false false 4096 660",
          "other unix:/run/x.sock false false 4096 600",
        ])
    #expect(worker.environment == ["A": "b", "N": "5", "T": "true"])
    #expect(worker.limits.map(\.value) == [20000, .max])
    #expect(worker.watchdog == .seconds(10))
    #expect(worker.startTimeout == .seconds(90))
    #expect(worker.reload == .signal)
    #expect(worker.restart == RestartDelays(min: .milliseconds(50), max: .seconds(60)))
    #expect(worker.drain == DrainPolicy(order: 10, deadline: .seconds(30)))
    #expect(worker.status == [StatusSeries(series: "a_total", label: "a/s", rate: true)])
    #expect(
      String(decoding: worker.settings, as: UTF8.self) == #"{"ping":"25s","list":[1,2.5,{"x":null}],"yes":"no"}"#)
  }

  @Test func avaloYamlGoesOverTheManifestAndTheEnvironmentOverBoth() throws {
    let configuration = try read(
      [
        "avalo.yaml": """
        admin: {listen: "127.0.0.1:1"}
        workers:
          gateway: {instances: 2, settings: {a: {y: 3}}, sockets: {client: {listen: "127.0.0.1:2"}, tls: ~}}
          own: {executable: worker}
          gone: {enabled: false}
        """,
        "workers.d/gateway.yaml": """
        executable: worker
        instances: 1
        sockets: {client: {listen: "127.0.0.1:1", per_instance: true}, tls: {listen: "127.0.0.1:5"}}
        settings: {a: {x: 1, y: 2}, b: [1, 2]}
        """,
        "workers.d/gone.yaml": "executable: nowhere",
      ],
      [
        "AVALO_ADMIN__LISTEN": "127.0.0.1:9", "AVALO_WORKERS__GATEWAY__SETTINGS__B": "[3]",
        "AVALO_WORKERS__GATEWAY__SETTINGS__C__D": "true", "AVALO_STATE_DIRECTORY": "/state",
        // Other programs' variables.
        "AVALO_KEY": "x", "AVALO_SLOT": "3",
      ])
    #expect(configuration.workers.map(\.name) == ["gateway", "own"])
    let gateway = try #require(configuration.worker("gateway"))
    #expect(gateway.instances == 2)
    #expect(gateway.sockets.map { "\($0.address) \($0.perInstance)" } == ["127.0.0.1:2 true"])
    #expect(String(decoding: gateway.settings, as: UTF8.self) == #"{"a":{"x":1,"y":3},"b":[3],"c":{"d":true}}"#)
    #expect("\(configuration.admin)" == "127.0.0.1:9")
    #expect(configuration.stateDirectory == "/state")
  }

  @Test func aVariableFindsKeysWithHyphens() throws {
    let worker = try read(
      ["workers.d/my-worker.yaml": "executable: worker\nsockets: {client-tls: {listen: \"127.0.0.1:1\"}}"],
      ["AVALO_WORKERS__MY_WORKER__SOCKETS__CLIENT_TLS__LISTEN": "127.0.0.1:77"]
    ).worker("my-worker")
    #expect(worker?.sockets.map { "\($0.address)" } == ["127.0.0.1:77"])
  }

  @Test func tellsEverythingAtOnceWithItsPlace() throws {
    let found = try problems(
      [
        "avalo.yaml": """
        admin:
          lisen: 127.0.0.1:1
        log: {level: loud}
        workers:
          gateway:
            instances: 0
          gatway: {instances: 1}
        """,
        "workers.d/gateway.yaml": """
        executable: nowhere
        watchdog: 10
        sockets:
          client:
            listen: localhost:80
          open: {listen: "0.0.0.0:80"}
        restrat: {}
        """,
        "workers.d/other.yml": "",
      ], ["AVALO_WORKERS__GATEWAY__REQUIRED": "maybe"])
    #expect(
      found
        == [
          "workers.d/other.yml: would not be read: its name must end in .yaml",
          "avalo.yaml:7: workers.gatway: there is no manifest workers.d/gatway.yaml; did you mean \"gateway\"?",
          "avalo.yaml:2: admin.lisen: unknown key; did you mean \"listen\"?",
          "avalo.yaml:3: log.level: expected one of debug, info, notice, warning, error, not \"loud\"",
          "workers.d/gateway.yaml:1: executable: there is no \(folder.path)/nowhere, nor \(folder.path)/../lib/avalo/nowhere, "
            + "nor \(folder.path)/../libexec/avalo/nowhere",
          "avalo.yaml:6: workers.gateway.instances: expected \"auto\" or an integer of 1 to 256, not 0",
          "AVALO_WORKERS__GATEWAY__REQUIRED: workers.gateway.required: expected true or false, not \"maybe\"",
          "workers.d/gateway.yaml:5: sockets.client.listen: expected an address such as \"127.0.0.1:8480\", \"[::1]:8480\" or "
            + "\"unix:name.sock\", not \"localhost:80\"",
          "workers.d/gateway.yaml:6: sockets.open.listen: 0.0.0.0:80 can be reached from other machines without encryption; "
            + "set allow_plaintext: true if that is meant (behind a proxy that ends TLS, on a private network)",
          "workers.d/gateway.yaml:2: watchdog: expected a duration of 100ms to 1h, such as \"10s\", or 0 for none, not 10",
          "workers.d/gateway.yaml:7: restrat: unknown key; did you mean \"restart\"?",
        ].map { $0.replacing("\(folder.path)/", with: "") })
  }

  static let badFiles: [(String, String, [String])] = [
    ("avalo.yaml", "a: [", ["avalo.yaml:2: not valid YAML: did not find expected node content"]),
    ("avalo.yaml", "log: {}\nlog: {}", ["avalo.yaml:1: not valid YAML: the key \"log\" comes twice"]),
    ("avalo.yaml", "- a", ["avalo.yaml:1: expected keys with values, not a list"]),
    ("avalo.yaml", "a: 1\n---\nb: 2", ["avalo.yaml:2: not valid YAML: but found another document"]),
    ("avalo.yaml", "[a]: 1", ["avalo.yaml:1: a key must be a word"]),
    ("avalo.yaml", "workers: 5", ["avalo.yaml:1: workers: expected a section, not 5"]),
    (
      "avalo.yaml", "control: {mode: 660}",
      ["avalo.yaml:1: control.mode: expected permissions in octal, such as \"0660\", not 660"]
    ),
    (
      "avalo.yaml", "control: {socket: \(String(repeating: "x", count: 100))}",
      [
        "avalo.yaml:1: control.socket: /base/.avalo/run/\(String(repeating: "x", count: 100)) has 117 bytes; a Unix socket's path may have 107"
      ]
    ),
    ("avalo.yaml", "runtime_directory: /\(String(repeating: "x", count: 90))", []),
    (
      "avalo.yaml", "admin: {listen: \"0.0.0.0:8481\"}",
      [
        "avalo.yaml:1: admin.listen: 0.0.0.0:8481 can be reached from other machines without encryption; set allow_plaintext: true if that "
          + "is meant (behind a proxy that ends TLS, on a private network)"
      ]
    ),
    (
      "workers.d/Shell.yaml", "executable: worker",
      [
        "workers.d/Shell.yaml: a worker's name is a lower-case letter, then lower-case letters, digits and hyphens, at most 32 in all, and not \"avalod\""
      ]
    ),
    (
      "workers.d/a.yaml", "name: b\nexecutable: worker",
      ["workers.d/a.yaml:1: name: must be \"a\", as the file's, or be left out"]
    ),
    ("workers.d/a.yaml", "instances: 1", ["workers.d/a.yaml:1: executable: is missing; expected text"]),
    (
      "workers.d/a.yaml", "executable: ./a.txt",
      ["workers.d/a.yaml:1: executable: ./a.txt is not executable; chmod +x it"]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nuser: nobody",
      [
        "workers.d/a.yaml:2: user: only root may start a worker as another user; leave it out, or start avalod as root"
      ]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nuser: no-such-user",
      ["workers.d/a.yaml:2: user: there is no user \"no-such-user\" on this machine"]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nrestart: {min: 2s, max: 1s}",
      ["workers.d/a.yaml:2: restart.max: must not be shorter than min"]
    ),
    (
      "workers.d/a.yaml",
      "executable: worker\nsockets: {x: {listen: \"unix:x\", per_instance: true}, Y: {listen: \"127.0.0.1:1\", mode: \"0600\"}}",
      [
        "workers.d/a.yaml:2: sockets.x.per_instance: is for TCP; a Unix socket is shared by all instances",
        "workers.d/a.yaml:2: sockets.Y: a socket's name is a lower-case letter, then lower-case letters, digits and hyphens, at most 32 in all, and not \"avalod\" or \"metrics\"",
        "workers.d/a.yaml:2: sockets.Y.mode: is for Unix sockets",
      ]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nsockets: {x: {listen: \"127.0.0.1:8481\"}}",
      [
        "workers.d/a.yaml:2: sockets.x.listen: 127.0.0.1:8481 is admin.listen's already"
      ]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nenvironment: {AVALO_SLOT: 1, 2X: y, L: [1]}",
      [
        "workers.d/a.yaml:2: environment.AVALO_SLOT: is set by avalod; see docs/protocol/worker.md",
        "workers.d/a.yaml:2: environment.2X: a variable's name has letters, digits and underscores",
        "workers.d/a.yaml:2: environment.L: expected a text, a number or true or false, not a list",
      ]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nlimits: {open_files: 3, core: lots}",
      [
        "workers.d/a.yaml:2: limits.open_files: expected an integer of 64 to 1073741824, not 3",
        "workers.d/a.yaml:2: limits.core: expected \"unlimited\" or a size such as 0 or \"1GiB\", not \"lots\"",
      ]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nsettings: [1]",
      ["workers.d/a.yaml:2: settings: expected a section, not a list"]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nstatus: [{label: x}]",
      ["workers.d/a.yaml:2: status[0].series: is missing; expected text"]
    ),
    (
      "workers.d/a.yaml", "executable: worker\nreload: hup",
      ["workers.d/a.yaml:2: reload: expected one of signal, restart, none, not \"hup\""]
    ),
  ]

  @Test(arguments: badFiles.indices) func saysWhatIsWrongAndWhatWouldBeRight(index: Int) throws {
    let (name, text, expected) = Self.badFiles[index]
    try folder.write("", to: "a.txt")
    #expect(try problems([name: text]) == expected)
  }

  @Test func aBadVariableIsNamed() throws {
    #expect(
      try problems([:], ["AVALO_ADMIN__LISTEN": "[", "AVALO_ADMIN__": "1", "AVALO_LOG__LEVLE": "info"]) == [
        "AVALO_ADMIN__: an empty part in the variable's name",
        "AVALO_ADMIN__LISTEN: not valid YAML: did not find expected node content",
        "AVALO_LOG__LEVLE: log.levle: unknown key; did you mean \"level\"?",
      ])
  }

  @Test func aFolderThatIsNotThereIsSaid() {
    #expect(throws: ConfigurationError.self) {
      try Configuration.read(directory: "\(folder.path)/nowhere", context: context())
    }
  }

  @Test func aPipeAmongTheFilesKeepsNobodyWaiting() throws {
    try folder.write("", to: "workers.d/a.yaml")
    #expect(mkfifo("\(folder.path)/workers.d/pipe.yaml", 0o600) == 0)
    #expect(try problems([:]).contains("workers.d/pipe.yaml:1: executable: is missing; expected text"))
  }

  @Test func aTooLongRuntimeDirectoryIsSaidBeforeASocketFails() throws {
    let long = "/\(String(repeating: "x", count: 92))"
    #expect(
      try problems(["avalo.yaml": "runtime_directory: \(long)", "workers.d/a.yaml": "executable: worker"]) == [
        "avalo.yaml:1: runtime_directory: is too long: \(long)/metrics/a.1.sock has 110 bytes, a Unix socket's path at "
          + "most 107"
      ])
  }

  @Test func theShippedConfigurationIsGood() throws {
    let configuration = try Configuration.read(
      directory: "\(TestPaths.root)/config",
      context: ConfigurationContext(
        environment: [:], workingDirectory: "/base", executableDirectory: TestPaths.products, processors: 2, userID: 0))
    #expect(configuration.workers.map(\.name) == ["gateway", "presence", "scheduler"])
    #expect(configuration.workers.map(\.drain.order) == [10, 20, 30])
  }

  @Test func whatIsPrintedIsTheSameConfigurationAgain() throws {
    let first = try read([
      "workers.d/a.yaml": """
      executable: worker
      sockets: {x: {listen: "0.0.0.0:1", allow_plaintext: true}, t: {listen: "[::]:2", encrypted: true}, u: {listen: "unix:u", mode: "0666"}}
      limits: {core: unlimited}
      environment: {A: "true", B: ""}
      watchdog: 1s
      status: [{series: s, label: "l: #x"}]
      settings: {"true": "null", n: null, list: [[], {}, [1, [2]], {a: {b: "x\\ny"}}], e: "", f: 1.5, "a b": "- c"}
      """
    ])
    try folder.write(first.document.yaml(), to: "again/avalo.yaml")
    let second = try Configuration.read(directory: "\(folder.path)/again", context: context())
    #expect(first.workers == second.workers)
    #expect(first.document == second.document)
  }
}
