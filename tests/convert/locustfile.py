import os
import random
from locust import HttpUser, LoadTestShape, SequentialTaskSet, TaskSet, between, constant, events, task

PRODUCTS = [17, 23, 42]
NAMES = {"json": "application/json"}
API = os.environ.get("API", "/api")


@events.test_start.add_listener
def started(environment, **kwargs):
    print("go")


class Base(HttpUser):
    abstract = True
    host = "http://127.0.0.1:8080"
    wait_time = between(1, 2.5)

    def on_start(self):
        response = self.client.post("/login", json={"user": "ada", "password": "hush-literal"})
        self.token = response.json()["auth"]["token"]

    def auth(self):
        return {"Authorization": f"Bearer {self.token}"}


class Shopper(Base):
    weight = 3
    limit = 20

    @task(3)
    def browse(self):
        self.client.get(f"{API}/products?limit={self.limit}", headers=NAMES, name="products")
        product = random.choice(PRODUCTS)
        with self.client.get("/product/%d" % product, catch_response=True) as response:
            if response.status_code != 200:
                response.failure("no product")
            elif "price" not in response.text:
                response.failure("no price")

    @task
    def buy(self):
        cart = self.client.get("/cart", headers=self.auth()).json()
        self.client.post(
            "/order",
            data={"cart": cart["id"], "note": "a & b", "card_token": "hush-card"},
            headers=self.auth(),
            timeout=5,
        )
        if random.random() < 0.25:
            self.client.put("/order/{}/gift".format(cart["id"]), json={"gift": True})

    @task(2)
    class Reading(TaskSet):
        wait_time = constant(3)

        @task(2)
        def article(self):
            self.client.get(f"/article/{random.randint(1, 50)}", params={"q": "tea & milk", "token": "hush-query"})

        @task
        def stop(self):
            self.interrupt()


class Partner(Base):
    wait_time = constant(1)

    @task
    class Steps(SequentialTaskSet):
        @task
        def first(self):
            self.client.get("/stock")

        @task
        def second(self):
            for page in range(2):
                self.client.get(f"/stock/page/{page}")
            for _ in range(5):
                self.client.head("/stock")


class Stages(LoadTestShape):
    stages = [
        {"duration": 60, "users": 10, "spawn_rate": 1},
        {"duration": 180, "users": 50, "spawn_rate": 10},
    ]

    def tick(self):
        return None
