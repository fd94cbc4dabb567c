import {
  simulation,
  scenario,
  exec,
  csv,
  feed,
  pause,
  group,
  repeat,
  during,
  randomSwitch,
  uniformRandomSwitch,
  doIfOrElse,
  doSwitch,
  onCase,
  percent,
  StringBody,
  ElFileBody,
  jsonPath,
  regex,
  substring,
  atOnceUsers,
  rampUsers,
  incrementUsersPerSec,
  stressPeakUsers,
  getParameter,
  global,
  details
} from "@gatling.io/core";
import { http, status } from "@gatling.io/http";
import { audit } from "./audit.js";

export default simulation((setUp) => {
  const baseUrl = getParameter("baseUrl", "http://127.0.0.1:8080/api/");
  const feeder = csv("searches.csv").queue();

  const httpProtocol = http
    .baseUrl(baseUrl)
    .acceptHeader("application/json")
    .basicAuth("ada", "hush");

  const withToken = (request) => request.header("Authorization", "Bearer #{token}");
  const shopUrl = (path) => `shop${path}`;

  const login = exec(
    http("Login")
      .post("session")
      .body(StringBody(JSON.stringify({ user: "ada", password: "hush" })))
      .asJson()
      .check(status().is(200), jsonPath("$.token").saveAs("token"))
  );

  const search = group("search").on(
    feed(feeder),
    withToken(http("Search").get(shopUrl("/search")).queryParam("q", "#{term}")).check(
      regex("data-id=\"(\\d+)\"").saveAs("productId"),
      jsonPath("$.total").is(3)
    ),
    pause({ amount: 500, unit: "milliseconds" }, 2),
    http("Product").get("shop/product/#{productId}").check(substring("#{product}").exists())
  );

  const buyers = scenario("Buyers").exec(
    login,
    search,
    repeat(50).on(http("Ping").head("ping"), pause(1)),
    randomSwitch().on(
      percent(25).then(http("Order").post("order").body(ElFileBody("order.json"))),
      percent(75).then(exec(http("Wish").patch("wish")).pause(2))
    ),
    uniformRandomSwitch().on(http("A").get("a"), http("B").get("b")),
    doIfOrElse((session) => session.get("productId") === "17")
      .then(http("Tea").get("tea"))
      .orElse(http("Other").get("other")),
    doSwitch("#{product}").on(
      onCase("green tea").then(http("Green").get("green")),
      onCase("tea pot").then(http("Pot").get("pot"))
    ),
    audit
  );

  const stayers = scenario("Stayers").exec(
    login,
    during(60).on(http("Home").get("home").check(status().in(200, 304)), pause(2))
  );

  setUp(
    buyers.injectOpen(
      incrementUsersPerSec(2)
        .times(3)
        .eachLevelLasting(30)
        .separatedByRampsLasting(10)
        .startingFrom(2),
      stressPeakUsers(100).during(20)
    ),
    stayers.injectOpen(atOnceUsers(5), rampUsers(20).during(10))
  )
    .protocols(httpProtocol)
    .assertions(
      global().responseTime().percentile(99.0).lt(1000),
      global().failedRequests().count().is(0),
      details("Nobody").responseTime().max().lt(1)
    );
});
