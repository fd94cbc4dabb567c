package shop;

import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.*;
import io.gatling.javaapi.http.*;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Buyers who come at a rate, and lookers who stay. */
public class GatlingShop extends Simulation {

  private static final String BASE_URL = System.getProperty("baseUrl", "http://127.0.0.1:8080");
  private static final int BUYERS = Integer.getInteger("buyers", 120);

  private static final Map<String, String> PARTNER =
      Map.of("X-Api-Key", "hush-key", "X-Partner", "north");

  private final FeederBuilder<String> searches = csv("searches.csv").random();

  private final HttpProtocolBuilder httpProtocol =
      http.baseUrl(BASE_URL)
          .acceptHeader("application/json")
          .acceptLanguageHeader("en-US,en;q=0.5")
          .userAgentHeader("gatling-shop")
          .inferHtmlResources()
          .shareConnections();

  private static ChainBuilder product(String id) {
    return exec(http("Product " + id).get("/product/" + id).check(status().is(200)));
  }

  static class Account {
    static final ChainBuilder login =
        exec(
            http("Login")
                .post("/login")
                .formParam("email", "ada@example.com")
                .formParam("password", "hush")
                .check(
                    status().in(200, 204),
                    jsonPath("$.carts[0].id").saveAs("cart"),
                    jmesPath("user.level").saveAs("level"),
                    header("X-Trace").saveAs("trace")),
            pause(1));

    static final ChainBuilder logout = exec(http("Logout").delete("/session"));
  }

  private final ChainBuilder search =
      feed(searches)
          .exec(
              http("Search")
                  .get("/search")
                  .queryParam("q", "#{term}")
                  .queryParam("sort", "price & name")
                  .header("X-Trace", "#{trace}")
                  .check(
                      css("a:contains('#{product}')", "href").saveAs("productUrl"),
                      substring("tea & mug").exists(),
                      responseTimeInMillis().lte(800)))
          .pause(1, 3)
          .exec(http("Select").get("#{productUrl}").check(status().not(404)));

  private final ChainBuilder browse =
      repeat(3, "page")
          .on(
              pause(Duration.ofMillis(500)),
              http("Page #{page}").get("/products?page=#{page}"),
              product("17"));

  private final ChainBuilder order =
      group("checkout")
          .on(
              exec(http("Cart").put("/cart/#{cart}").body(StringBody("{\"gift\": true, \"token\": \"hush\"}")).asJson())
                  .exitHereIfFailed()
                  .exec(
                      http("Order")
                          .post("/order")
                          .headers(PARTNER)
                          .body(RawFileBody("order.json"))
                          .check(
                              status().is(201),
                              jsonPath("$.state").is("paid"),
                              bodyString().exists())));

  private final ScenarioBuilder buyers =
      scenario("Buyers")
          .exec(Account.login)
          .exec(search, browse)
          .exec(
              session -> {
                System.out.println(session.getString("cart"));
                return session.set("channel", "web");
              })
          .exec(session -> session.set("total", prices.sum(session.getList("prices"))))
          .randomSwitch()
          .on(
              percent(60.0).then(order),
              percent(30).then(exec(http("Wish").post("/wish").formParam("channel", "#{channel}"))))
          .doIfEquals("#{level}", "gold")
          .then(exec(http("Bonus").get("/bonus")))
          .doIf(session -> session.contains("coupon"))
          .then(exec(http("Coupon").get("/coupon/#{coupon}")))
          .tryMax(2)
          .on(exec(Account.logout))
          .rendezVous(50);

  private final ScenarioBuilder lookers =
      scenario("Lookers")
          .forever()
          .on(
              pace(Duration.ofSeconds(10)),
              feed(listFeeder(List.of(Map.of("kind", "tea"), Map.of("kind", "mug"))).circular()),
              http("Home").get("/").check(status().is(200)),
              http("Offers").get("/offers/#{kind}?r=#{randomInt(1,7)}"),
              http("Statistics").get("https://stats.example/hit"));

  {
    setUp(
            buyers
                .injectOpen(
                    nothingFor(5),
                    atOnceUsers(10),
                    rampUsers(BUYERS).during(Duration.ofMinutes(1)),
                    constantUsersPerSec(2).during(120).randomized(),
                    rampUsersPerSec(2).to(8.5).during(60))
                .andThen(
                    lookers.injectClosed(
                        constantConcurrentUsers(10).during(30),
                        rampConcurrentUsers(10).to(20).during(30))))
        .protocols(httpProtocol)
        .throttle(reachRps(100).in(10), holdFor(60))
        .maxDuration(Duration.ofMinutes(10))
        .assertions(
            global().responseTime().percentile3().lt(800),
            global().successfulRequests().percent().gt(99.0),
            details("Search").responseTime().max().lte(2000),
            details("checkout").failedRequests().percent().lt(1.0),
            forAll().responseTime().stdDev().lt(100),
            global().requestsPerSec().gt(10.0));
  }
}
